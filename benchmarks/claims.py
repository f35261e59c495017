"""What the README says of the paper's claims, from a book that was built: after `make book`, in seconds.

Writes book/_static/claims.json (verdicts, and the values of one strip of cortex), draws book/_static/cortex.png of it,
and puts the verdicts into README.md. The study is in results/.
"""

import argparse
import re
from pathlib import Path

import yaml

from jne.book import SUMMARY, measured_texts, minutes_text, read_records, read_summary, summary_text, write_summary
from jne.plotting import draw_strip
from jne.study import load_subjects, run_study

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", default="demo", help="the parameter set that the book was built with")
    parser.add_argument("--page", default=ROOT / "_build/stage/book/paper.ipynb", type=Path, help="the executed page")
    options = parser.parse_args()
    records = read_records(options.page)
    words = {name.removeprefix("verdict."): word for name, word in records.items() if name.startswith("verdict.")}
    shared = yaml.safe_load((ROOT / f"book/params/{options.params}.yml").read_text())["all"]
    dataset = {"seed": shared["seed"], **shared["dataset_options"]}
    (data,) = load_subjects(shared["data"], [shared["subject"]], dataset).values()
    settings = {"encoder_options": shared["encoder_options"], "n_bootstrap": shared["n_bootstrap"]}
    result = run_study(data, seed=shared["seed"], **settings).result
    write_summary(words, result, options.params, ROOT / SUMMARY)
    verdicts, strip = read_summary(ROOT / SUMMARY)
    draw_strip(strip, ROOT / "book/_static/cortex.png")
    texts = {"claims": summary_text(verdicts), "minutes": minutes_text(measured_texts(ROOT))}
    readme = (ROOT / "README.md").read_text()
    for name, text in texts.items():
        begin, end = f"<!-- {name}: written by benchmarks/claims.py -->\n", f"\n<!-- end of {name} -->"
        readme = re.sub(f"{begin}.*?{end.strip()}", lambda _, new=begin + text + end: new, readme, flags=re.DOTALL)
    (ROOT / "README.md").write_text(readme)


if __name__ == "__main__":
    main()
