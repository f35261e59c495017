"""A result as files for other programs: maps in the kind of file the data came in, a table, a summary.

`images` makes the bytes of maps, `tables` the table and the summary, `slopes` the mean Jacobian; `write` puts them into
a folder.
"""

from jne.study.export.slopes import mean_jacobian
from jne.study.export.text import export_text
from jne.study.export.write import check_folder, write_maps

__all__ = ["check_folder", "export_text", "mean_jacobian", "write_maps"]
