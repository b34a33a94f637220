"""Recipes for encoders: stages that train a new encoder or make a smaller one from a parent.

fit_log_mel, pretrain_melhubert                            train a new encoder
prune_heads, prune_rows, prune_weights, factorize_layers   shrink a parent step by step, all through `compress_encoder`
distil_layers, distil_posteriors                           train a student whose teacher is the parent
objectives                                                 losses over batches, and how a model is trained with them
speech_batches, augment, masked_frames                     what a batch consists of
"""
