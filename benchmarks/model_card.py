"""docs/model-card.md from stored figures: those that `python -m vaereg evaluate` wrote, the baselines, and
the records of benchmarks/materials.py on any two phases.

Run `python benchmarks/model_card.py [--checkpoint FILE] [--metrics FILE] [--out FILE]`, for instance after
new baselines: `evaluate --card` writes the same page, but measures everything first.
"""

import argparse
import json
from pathlib import Path

from record import RESULTS

from vaereg.evaluation.model_card import model_card
from vaereg.evaluation.pair_card import pair_section
from vaereg.evaluation.records import read_record
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint

TARGET = Path(__file__).parents[1] / "docs" / "model-card.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT, help="trained model")
    parser.add_argument("--metrics", type=Path, help="what `evaluate` wrote (default: beside the model)")
    parser.add_argument("--baselines", type=Path, default=RESULTS / "baselines.json")
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    metrics = arguments.metrics or arguments.checkpoint.with_suffix(".json")
    baselines = read_record(arguments.baselines, "baselines") if arguments.baselines.exists() else None
    measured, held_out, encoder = (
        read_record(path, path.stem) if (path := RESULTS / f"{name}.json").exists() else None
        for name in ("materials", "materials_held_out", "materials_encoder")
    )
    text = model_card(
        load_checkpoint(arguments.checkpoint),
        json.loads(metrics.read_text(encoding="utf-8")),
        baselines,
        pairs="" if measured is None else pair_section(measured, held_out, encoder),
    )
    arguments.out.write_text(text, encoding="utf-8")
    print(arguments.out)


if __name__ == "__main__":
    main()
