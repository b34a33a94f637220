"""Which tasks say what an encoder is worth, and whether they can be set beside those of its parent."""


def compared_encoders(rows, config):
    """The encoders of config.encoders and their parents, beside which they are measured."""
    parents = [rows["encoders"][name]["parent"] for name in config["encoders"]]
    return list(dict.fromkeys([*config["encoders"], *filter(None, parents)]))


def encoder_codebook(encoder, rows):
    """The codebook that an encoder is judged by: its first row; `None` where it has none."""
    return next((name for name, row in rows["codebooks"].items() if row["encoder"] == encoder), None)


def encoder_tasks(rows, config):
    """Encoder of `compared_encoders` → the first of config.tasks on its units, and those that repeat it with other unit LMs.

    These read the same units and differ in their seeds, from the first's and from each other's, and in nothing else.
    """
    found = {name: [] for name in compared_encoders(rows, config)}
    for task in config["tasks"]:
        tasks = found.get(rows["codebooks"][_ulm(task, rows)["codebook"]]["encoder"])
        if tasks is not None and (not tasks or _repeats(task, tasks, rows, config)):
            tasks.append(task)
    return found


def confounders(rows, config):
    """Encoder of config.encoders with tasks, whose parent has some → in what else than their encoder these differ."""
    tasks, found = encoder_tasks(rows, config), {}
    for encoder in config["encoders"]:
        own, parents = tasks[encoder], tasks.get(rows["encoders"][encoder]["parent"])
        if own and parents:
            one, other = (_settings(each[0], rows, config) for each in (own, parents))
            found[encoder] = sorted(name for name in one | other if one.get(name) != other.get(name))
            if _seeds(own, rows, config) != _seeds(parents, rows, config):
                found[encoder].append("seeds of the unit LMs")
    return found


def _repeats(task, tasks, rows, config):
    same_units = _ulm(task, rows)["codebook"] == _ulm(tasks[0], rows)["codebook"]
    other_seed = not _seeds([task], rows, config) & _seeds(tasks, rows, config)
    return same_units and other_seed and _settings(task, rows, config) == _settings(tasks[0], rows, config)


def _ulm(task, rows):
    return rows["ulms"][rows["tasks"][task]["ulm"]]


def _preset(task, rows, config):
    return config["pretrain_ulm"].get(_ulm(task, rows)["preset"], {})  # that of a published one is of another section


def _seeds(tasks, rows, config):
    return {_preset(task, rows, config).get("seed") for task in tasks}


def _settings(task, rows, config):
    """Name → value of all that a task, its unit LM and its units are made with, but for the encoder and the LM's seed."""
    ulm = _ulm(task, rows)
    parts = dict(
        tasks=(rows["tasks"][task], ("task", "ulm")),
        ulms=(ulm, ("ulm", "codebook", "preset")),
        pretrain_ulm=(_preset(task, rows, config), ("seed",)),
        codebooks=(rows["codebooks"][ulm["codebook"]], ("codebook", "encoder", "layer", "checkpoint", "published")),
    )
    return {f"{part}.{name}": value for part, (row, apart) in parts.items() for name, value in row.items() if name not in apart}
