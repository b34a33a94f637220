"""Choose the tasks that evaluate an encoder, and check whether they are comparable with those of its parent."""


def compared_encoders(rows, config):
    """Return the names in config.encoders, followed by those of their parents that are not among them.

    Args:
        rows: dict from the name of each table to its `Table`.
        config: the merged config.
    """
    parents = [rows["encoders"][name]["parent"] for name in config["encoders"]]
    return list(dict.fromkeys([*config["encoders"], *filter(None, parents)]))


def encoder_codebook(encoder, rows):
    """Return the name of the first codebook on an encoder, which is used to evaluate it; None if it has no codebook."""
    return next((name for name, row in rows["codebooks"].items() if row["encoder"] == encoder), None)


def encoder_tasks(rows, config):
    """Return the tasks that evaluate each encoder.

    These are the first task of config.tasks on the units of the encoder, and its repetitions: tasks that differ from it only in
    the seed of the unit LM.

    Args:
        rows: dict from the name of each table to its `Table`.
        config: the merged config.

    Returns:
        A dict from each name of `compared_encoders` to a list of names of tasks.
    """
    tasks_of = {name: [] for name in compared_encoders(rows, config)}
    for task in rows["tasks"].expand_names(config["tasks"]):
        encoder = rows["codebooks"][_ulm(task, rows)["codebook"]]["encoder"]
        if encoder in tasks_of and (not tasks_of[encoder] or _is_repetition(task, tasks_of[encoder], rows, config)):
            tasks_of[encoder].append(task)
    return tasks_of


def confounders(rows, config):
    """Return the settings, other than the encoder, in which an encoder's tasks differ from those of its parent.

    Args:
        rows: dict from the name of each table to its `Table`.
        config: the merged config.

    Returns:
        A dict from each name in config.encoders to the names of these settings, if the encoder and its parent have tasks.
    """
    tasks_of = encoder_tasks(rows, config)
    differing = {}
    for encoder in config["encoders"]:
        tasks = tasks_of[encoder]
        parent_tasks = tasks_of.get(rows["encoders"][encoder]["parent"])
        if not tasks or not parent_tasks:
            continue
        settings = _settings(tasks[0], rows, config)
        parent_settings = _settings(parent_tasks[0], rows, config)
        names = settings.keys() | parent_settings.keys()
        differing[encoder] = sorted(name for name in names if settings.get(name) != parent_settings.get(name))
        if _ulm_seeds(tasks, rows) != _ulm_seeds(parent_tasks, rows):
            differing[encoder].append("seeds of the unit LMs")
    return differing


def _is_repetition(task, tasks, rows, config):
    """Return whether a task differs from the first of `tasks` only in the seed of its unit LM, and none of them has this seed."""
    has_same_units = _ulm(task, rows)["codebook"] == _ulm(tasks[0], rows)["codebook"]
    has_new_seed = not _ulm_seeds([task], rows) & _ulm_seeds(tasks, rows)
    return has_same_units and has_new_seed and _settings(task, rows, config) == _settings(tasks[0], rows, config)


def _ulm(task, rows):
    return rows["ulms"][rows["tasks"][task]["ulm"]]


def _ulm_seeds(tasks, rows):
    return {_ulm(task, rows)["seed"] for task in tasks}


def _settings(task, rows, config):
    """Return the settings of a task, its unit LM and its units, without the encoder and the seed of the unit LM."""
    ulm = _ulm(task, rows)
    preset = config["pretrain_ulm"].get(ulm["preset"], {})  # a published unit LM has a preset of another section
    parts = (  # name, settings, those that may differ
        ("tasks", rows["tasks"][task], {"task", "ulm"}),
        ("ulms", ulm, {"ulm", "codebook", "preset", "seed"}),
        ("pretrain_ulm", preset, set()),
        ("codebooks", rows["codebooks"][ulm["codebook"]], {"codebook", "encoder", "layer", "checkpoint", "published"}),
    )
    return {
        f"{part}.{name}": value
        for part, settings, may_differ in parts
        for name, value in settings.items()
        if name not in may_differ
    }
