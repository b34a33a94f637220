"""A bundle with random weights, to time or test what labels recordings without training anything."""

import torch

from inference.bundle_files import write_bundle
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from ulm.model import UnitLM, UnitLMConfig
from ulm.prompt import DeepPrompt
from ulm.vocabulary import EOS, SPECIALS

DEMO_ENCODER = dict(num_layers=2, dim=256, ffn_dim=1024, num_heads=4, conv_kernel=33, conv_groups=16)
DEMO_UNIT_LM = dict(num_layers=4, dim=192, ffn_dim=768, num_heads=12)


def write_random_bundle(folder, *, encoder=None, unit_lm=None, num_units=100, num_labels=12, prompt_length=5, seeds=(1,)):
    """Write the bundle of a task with classes.

    Args:
        folder: folder to write.
        encoder, unit_lm: sizes of the MelHuBERT and of the unit LM; None: those of the demo.
        num_units: size of the codebook.
        num_labels: number of classes, named `label0` and so on.
        prompt_length: length of the deep prompts.
        seeds: seeds of the prompts.
    """
    torch.manual_seed(0)
    encoder_config = MelHuBERTConfig(**(encoder or DEMO_ENCODER), num_targets=())
    lm_config = UnitLMConfig(vocabulary_size=len(SPECIALS) + num_units, **(unit_lm or DEMO_UNIT_LM))
    front_end = dict(mean=torch.zeros(40), std=torch.ones(40))
    settings = dict(architecture="melhubert", subtract_loudness=True, **vars(encoder_config))
    labels = [f"label{number}" for number in range(num_labels)]
    sequences = [[[len(SPECIALS) + number, EOS], [label]] for number, label in enumerate(labels)]
    no_augmentation = dict(probability=0.0, drop=0.0, substitute=0.0, crop=0.0)
    task = dict(
        symbols=[*SPECIALS, *map(str, range(num_units))],
        units=[None] * len(SPECIALS) + list(range(num_units)),
        pieces=None,
        scope="target",
        answer_tokens=sorted({token for tokens, _ in sequences for token in tokens}),
        answers=dict(open=False, sequences=sequences),
        decoding=dict(beam_size=1, length_penalty=0.0, max_tokens=6000),
        test_time_augmentation=dict(num_variants=0, augmentation=no_augmentation),
    )
    description = dict(
        task="RANDOM",
        corpus="none",
        kind="prompt",
        input_kind="audio",
        answer_kind="class",
        labels=labels,
        seeds=list(seeds),
        best_seed=seeds[0],
        codebook=dict(name="random", num_units=num_units, layer=encoder_config.num_layers, context_frames=0),
        encoder="melhubert",
        num_test_rows=0,
        metrics=[],
        names=dict(corpus="none"),
        parts=[],
        versions={},
    )
    prompts = {}
    for seed in seeds:
        prompt = DeepPrompt(lm_config, prompt_length)
        prompts |= {f"seed{seed}.prompt.{name}": tensor for name, tensor in prompt.state_dict().items()}
    write_bundle(
        folder,
        description,
        json_files={"task.json": task, "unit_lm/config.json": lm_config.to_dict()},
        tensors={
            "tuned.safetensors": prompts,
            "unit_lm/model.safetensors": UnitLM(lm_config).state_dict(),
            "codebook.safetensors": dict(centroids=torch.randn(num_units, encoder_config.dim)),
        },
        encoder=(settings, MelHuBERTModel(encoder_config).state_dict() | front_end),
        card=lambda sizes: "# A bundle with random weights\n",
    )
