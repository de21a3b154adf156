"""From a key press to both next films playing, in a real browser, on a page that is being served.

    python benchmarks/page_latency.py [--url http://127.0.0.1:7860/] [--pairs 30] [--json out.json]

For each answer: `key`, the time of the key press; `first`, when both films of the next pair have presented a frame
(requestVideoFrameCallback); `apart`, the difference between the two. The goal: a median of `first - key` below 150 ms.
The probe answers at random: do not aim it at a profile that you care about.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

ARGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]

# Runs inside the page. The clock starts in a capturing listener, before the page's own.
PROBE = """
() => {
  const stage = document.querySelector('.stage');
  window.probe = { samples: [], key: 0 };
  document.addEventListener('keydown', () => (window.probe.key = performance.now()), true);
  const seen = (video) => new Promise((done) => video.requestVideoFrameCallback((now) => done(performance.now())));
  new MutationObserver(async () => {
    const key = window.probe.key;
    if (!key || !stage.dataset.pair) return;
    window.probe.key = 0;
    const times = await Promise.all([...stage.querySelectorAll('video.on')].map(seen));
    if (times.length < 2) return;
    window.probe.samples.push({ first: Math.max(...times) - key, apart: Math.abs(times[0] - times[1]) });
  }).observe(stage, { attributes: true, attributeFilter: ['data-pair'] });
}
"""


def measure(url: str, pairs: int, browser_path: str) -> list[dict[str, float]]:
    """Answer `pairs` pairs with the keyboard; one sample each, in milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        last = ""
        for number in range(pairs + 1):
            page.wait_for_function(
                "last => { const now = document.querySelector('.stage')?.dataset.pair; return now && now !== last }",
                arg=last,
                timeout=120_000,
            )
            if number == 0:
                page.evaluate(PROBE)
            last = page.evaluate("document.querySelector('.stage').dataset.pair")
            page.wait_for_timeout(1200)  # as long as a quick person looks
            if number < pairs:
                page.keyboard.press(("ArrowLeft", "ArrowRight")[number % 2])
        samples: list[dict[str, float]] = page.evaluate("window.probe.samples")
        browser.close()
    return samples


def summary(samples: list[dict[str, float]]) -> dict[str, float]:
    first = sorted(sample["first"] for sample in samples)
    apart = sorted(sample["apart"] for sample in samples)
    return {
        "pairs": len(samples),
        "median_ms": round(statistics.median(first), 1),
        "p95_ms": round(first[int(0.95 * (len(first) - 1))], 1),
        "max_ms": round(first[-1], 1),
        "apart_median_ms": round(statistics.median(apart), 1),
        "apart_max_ms": round(apart[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:7860/")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("no Chromium here (Debian: apt install chromium)")
    result = summary(measure(options.url, options.pairs, browser_path))
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
