"""Recipes for encoders: stages that train a new encoder, or make a smaller one from a parent.

fit_log_mel, pretrain_melhubert                            stages that train a new encoder
prune_heads, prune_rows, prune_layers, prune_weights, factorize_layers
                                                           stages that shrink a parent step by step; they share `compress_encoder`
distil_layers, distil_posteriors                           stages that train a student with the parent as its teacher
objectives                                                 losses over batches, and the training of a model with them
speech_batches, augment, masked_frames                     how batches are made
"""
