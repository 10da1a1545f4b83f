"""How Sphinx builds this site: `make docs`, and the pages are in site/html, the executed chapters in site/jupyter_execute."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import reference  # noqa: E402

import chainrule  # noqa: E402

project = "chainrule"
author = "the chainrule authors"
release = chainrule.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "sphinx-mathjax-offline"]
exclude_patterns = ["README.md"]
suppress_warnings = ["toc.empty_glob", "mystnb.unknown_mime_type"]

# The chapters are notebooks: every output and picture on the site is made while it is built, and a cell that fails stops the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars, and the line that says that kernels are being compiled
nb_mime_priority_overrides = [("html", "image/svg+xml", 0)]  # graphs as plain pictures
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures say the names and defaults; types are in the text
autodoc_preserve_defaults = True
default_role = "code"  # docstrings put names between single backticks
add_module_names = False
python_use_unqualified_type_names = True
napoleon_use_rtype = False
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "chainrule"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sphinx = html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#4338ca", "color-brand-content": "#4338ca"},
    "dark_css_variables": {"color-brand-primary": "#a5b4fc", "color-brand-content": "#a5b4fc"},
}


def gather(app) -> None:
    """Write the reference, and bring the notebooks here, where Sphinx finds them."""
    reference.write(HERE / "reference")
    for path in (HERE.parent / "examples").glob("*.ipynb"):
        (HERE / "notebooks").mkdir(exist_ok=True)
        shutil.copyfile(path, HERE / "notebooks" / path.name)


def setup(app) -> None:
    app.connect("builder-inited", gather)
    app.connect("autodoc-process-docstring", reference.tidy)
