"""Tables and draws a batch over alpha from the runs' own files; standard library only.

usage: plot.py BATCH_FOLDER OUT_STEM      writes OUT_STEM.json and OUT_STEM.svg
Left: the estimated CVaR of the incumbent after each iteration. Right: every scene's true score at the final incumbent,
sorted from worst to best, so that the tail each run cared for can be seen.
"""
import json
import pathlib
import sys

COLOURS = ["#3b4cc0", "#7b9ff9", "#8a8a8a", "#f4987a", "#b40426"]
WIDTH, HEIGHT, MARGIN, GAP = 460, 300, 48, 40


def read(batch):
    runs = []
    for folder in sorted(pathlib.Path(batch).glob("alpha-*")):
        result = json.loads((folder / "result.json").read_text())
        evaluated = json.loads((folder / "evaluate.json").read_text())
        scores = sorted(image["score"] for image in evaluated["images"])
        runs.append(
            {
                "alpha": float(folder.name.removeprefix("alpha-")),
                "x": result["incumbent"]["x"],
                "estimated_cvar": result["incumbent"]["risk"],
                "true_cvar": evaluated["risk"],
                "true_mean": evaluated["mean"],
                "true_worst": scores[0],
                "evaluations": result["evaluations"],
                "seconds": sum(result["seconds"].values()),
                "history": [entry["risk"] for entry in result["history"]],
                "scores": scores,
            }
        )
    return runs


def panel(left, title, series, x_label):
    """One set of axes with a line per run; y runs from 0 to 1."""
    x0, y0 = left + MARGIN, MARGIN
    parts = [f'<text x="{x0}" y="{y0 - 16}" font-size="14">{title}</text>']
    for tick in range(0, 11, 2):
        y = y0 + HEIGHT * (1 - tick / 10)
        parts.append(f'<line x1="{x0}" x2="{x0 + WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 8}" y="{y + 4}" font-size="11" text-anchor="end">{tick / 10:.1f}</text>')
    parts.append(f'<text x="{x0 + WIDTH / 2}" y="{y0 + HEIGHT + 32}" font-size="12" text-anchor="middle">{x_label}</text>')
    for (label, values), colour in zip(series, COLOURS):
        step = WIDTH / max(1, len(values) - 1)
        points = " ".join(f"{x0 + i * step:.1f},{y0 + HEIGHT * (1 - v):.1f}" for i, v in enumerate(values))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
    for row, ((label, _), colour) in enumerate(zip(series, COLOURS)):
        y = y0 + HEIGHT - 12 - 16 * (len(series) - 1 - row)
        parts.append(f'<text x="{x0 + WIDTH - 8}" y="{y}" font-size="12" text-anchor="end" fill="{colour}">{label}</text>')
    return parts


def main():
    batch, stem = sys.argv[1], sys.argv[2]
    runs = read(batch)
    if not runs:
        sys.exit(f"no alpha-* runs under {batch}")
    pathlib.Path(stem + ".json").write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    total = 2 * (WIDTH + MARGIN) + GAP + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT + 2 * MARGIN}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    parts += panel(0, "estimated CVaR of the incumbent", [(f"alpha {r['alpha']:g}", r["history"]) for r in runs], "iteration")
    parts += panel(WIDTH + MARGIN + GAP, "true score of each scene, worst first", [(f"alpha {r['alpha']:g}", r["scores"]) for r in runs], "scenes")
    pathlib.Path(stem + ".svg").write_text("\n".join(parts + ["</svg>"]) + "\n")
    print(f"{'alpha':>6} {'true CVaR':>10} {'estimated':>10} {'mean':>6} {'worst':>6} {'seconds':>8}")
    for r in runs:
        print(f"{r['alpha']:6.2f} {r['true_cvar']:10.3f} {r['estimated_cvar']:10.3f} {r['true_mean']:6.3f} {r['true_worst']:6.3f} {r['seconds']:8.1f}")


if __name__ == "__main__":
    main()
