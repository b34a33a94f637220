"""Choose the tasks that evaluate an encoder, and check whether they are comparable with those of its parent."""


def compared_encoders(rows, config):
    """Return the encoders of config.encoders, then those of their parents that are not among them."""
    parents = [rows["encoders"][name]["parent"] for name in config["encoders"]]
    return list(dict.fromkeys([*config["encoders"], *filter(None, parents)]))


def encoder_codebook(encoder, rows):
    """Return the first codebook on an encoder, which evaluates it, or None."""
    return next((name for name, row in rows["codebooks"].items() if row["encoder"] == encoder), None)


def encoder_tasks(rows, config):
    """Return the tasks that evaluate each encoder.

    They are the first of config.tasks on the units of the encoder, and the tasks that repeat it: the same in everything but the
    seed of the unit LM.

    Returns:
        encoder of `compared_encoders` → names of tasks.
    """
    tasks_of = {name: [] for name in compared_encoders(rows, config)}
    for task in rows["tasks"].expand_names(config["tasks"]):
        encoder = rows["codebooks"][_ulm(task, rows)["codebook"]]["encoder"]
        if encoder in tasks_of and (not tasks_of[encoder] or _is_repetition(task, tasks_of[encoder], rows, config)):
            tasks_of[encoder].append(task)
    return tasks_of


def confounders(rows, config):
    """Return what else differs between an encoder's tasks and those of its parent, besides the encoder.

    Returns:
        encoder of config.encoders, if it and its parent have tasks → names of the settings that differ.
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
    """Whether a task equals the first of `tasks` in all but the seed of its unit LM, which none of them has."""
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
