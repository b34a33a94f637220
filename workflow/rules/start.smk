# The first thing that the Snakefile includes: the packages of the project can be imported, and config files that Snakemake
# cannot read are refused with the file, the line and what to type.

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")
ROOT = Path(workflow.current_basedir).parents[1]
sys.path.insert(0, str(ROOT))

from workflow.scripts.config_files import default_files, read_config_file

try:
    for file in default_files(ROOT):
        if Path(file).exists():
            read_config_file(file)
except ValueError as error:  # as a WorkflowError it is shown without the stack
    raise WorkflowError(str(error)) from None
