"""Where models run."""


def choose_device(index=0):
    """`cuda:i` where there are GPUs (job `index` takes GPU `index` modulo their number), else `cpu`."""
    import torch

    count = torch.cuda.device_count()
    return torch.device(f"cuda:{index % count}") if count else torch.device("cpu")
