import re

import pytest
from report_pages import SYSTEMS, Page, page, system

SCATTERS = {
    "usual": [(s["rows_per_s"]["32"], s["micro_f1"]) for s in SYSTEMS],
    "single": [(123.0, 0.5)],
    "equal": [(500.0, 0.75)] * 6,
    "perfect": [(10.0, 1.0)] * 3,
    "nothing right": [(1000.0, 0.0)] * 3,
    "slow": [(0.4, 0.3), (0.7, 0.31)],
    "wide": [(0.2, 0.0), (3e6, 1.0)],
    "decades": [(10.0, 0.9), (100.0, 0.9), (1000.0, 0.9)],
    "crowded below": [(5000.0 + number, 0.8 + number / 1000) for number in range(5)] + [(100.0, 0.95)],
}


def plotted(
    scatter: list[tuple[float, float]], name: str = "a long name 很长的名字", kind: str = "wide"
) -> tuple[Page, float, float]:
    """One of the two pictures; speed is in rows a second, so that a row takes 1000 / speed ms."""
    systems = [system(f"{name}{number}", f1, speed) for number, (speed, f1) in enumerate(scatter)]
    systems[0]["reference"] = True
    html, _ = page(systems)
    parsed = picture(html, kind)
    width, height = map(float, str(parsed.all("svg")[0]["viewbox"]).split()[2:])
    return parsed, width, height


def picture(html: str, kind: str = "wide") -> Page:
    return Page(re.findall(rf'<svg class="plot {kind}".*?</svg>', html, re.DOTALL)[0])


@pytest.mark.parametrize("scatter", SCATTERS.values(), ids=SCATTERS)
def test_points_and_lines_stay_in_the_box(scatter: list[tuple[float, float]]):
    parsed, width, height = plotted(scatter)
    lines = [{key: float(str(value)) for key, value in line.items()} for line in parsed.all("line")]
    left, right = min(line["x1"] for line in lines), max(line["x2"] for line in lines)
    top, bottom = min(line["y1"] for line in lines), max(line["y2"] for line in lines)
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    circles = parsed.all("circle")
    assert len(circles) == len(scatter)
    for circle in circles:
        assert left <= float(str(circle["cx"])) <= right
        assert top <= float(str(circle["cy"])) <= bottom
    assert all(0 <= float(text) <= 1 for text in parsed.text if re.fullmatch(r"-?\d\.\d{3}", text)), "no F1 is beyond 0 or 1"
    assert len({line["y1"] for line in lines if line["y1"] == line["y2"]}) >= 2
    assert len({line["x1"] for line in lines if line["x1"] == line["x2"]}) >= 2


@pytest.mark.parametrize("kind", ["wide", "narrow"])
@pytest.mark.parametrize("scatter", SCATTERS.values(), ids=SCATTERS)
def test_names_cover_neither_each_other_nor_points_and_stay_in_the_box(scatter: list[tuple[float, float]], kind: str):
    parsed, width, height = plotted(scatter, "name", kind)
    names = [text for text in parsed.all("text") if text.get("class") == "name"]
    assert len(names) == len(scatter)
    boxes = []
    for text in names:
        x, y, length = float(str(text["x"])), float(str(text["y"])), 7.2 * len("name0")
        start = x - {"start": 0, "middle": length / 2, "end": length}[str(text["text-anchor"])]
        assert start >= 0
        assert start + length <= width
        assert 10 <= y <= height - 5
        boxes.append((start, start + length, y))
    for number, (start, stop, y) in enumerate(boxes):
        for other_start, other_stop, other_y in boxes[number + 1 :]:
            assert stop <= other_start or other_stop <= start or abs(y - other_y) >= 12
        for circle in parsed.all("circle"):
            x, level = float(str(circle["cx"])), float(str(circle["cy"]))
            assert not (start < x < stop and y - 11 < level < y + 3)


def test_a_long_name_is_cut_at_its_beginning():
    parsed, _, _ = plotted([(100.0, 0.5)], "/very/long/path/to/a/folder/of/bundles/", "narrow")
    assert "…path/to/a/folder/of/bundles/0"[-27:] in [text[1:] for text in parsed.text if text.startswith("…")]


def test_better_is_left_and_up():
    parsed, _, _ = plotted([(100.0, 0.5), (1000.0, 0.6)])
    slow, fast = parsed.all("circle")
    assert float(str(fast["cx"])) < float(str(slow["cx"]))
    assert float(str(fast["cy"])) < float(str(slow["cy"]))


def test_points_stand_where_the_axes_say():
    html, _ = page([system("a", 0.5, 100.0, reference=True), system("b", 0.6, 1000.0)])
    shown = re.findall(r'<svg class="plot wide".*?</svg>', html, re.DOTALL)[0]
    places = {text: (float(x), float(y)) for x, y, text in re.findall(r'class="tick" x="(.+?)" y="(.+?)".*?>(.+?)<', shown)}
    slow, fast = [(float(str(circle["cx"])), float(str(circle["cy"]))) for circle in picture(html).all("circle")]
    assert (slow[0], fast[0]) == (places["10"][0], places["1"][0]), "100 rows a second are 10 ms a row"
    assert (slow[1], fast[1]) == (places["0.500"][1] - 4, places["0.600"][1] - 4)  # text stands on its base line


def test_the_front_is_a_staircase_through_the_systems_that_nothing_beats():
    html, _ = page([system("a", 0.5, 1000.0, reference=True), system("b", 0.7, 100.0), system("c", 0.6, 50.0)])
    parsed = picture(html)
    points = [tuple(map(float, place.split(","))) for place in str(parsed.all("polyline")[0]["points"]).split()]
    fast, good, beaten = [(float(str(circle["cx"])), float(str(circle["cy"]))) for circle in parsed.all("circle")]
    assert points[0] == fast
    assert points[1] == (good[0], fast[1])
    assert points[2] == good
    assert points[3][1] == good[1]
    assert beaten not in points


def test_intervals_are_drawn_and_lie_inside():
    html, _ = page([system("a", 0.8, reference=True, intervals={"micro_f1": [0.62, 0.93]})])
    path = next(one for one in picture(html).all("path"))
    low, high = map(float, re.findall(r"M\S+ (\S+)V(\S+)", str(path["d"]))[0])
    level = float(str(picture(html).all("circle")[0]["cy"]))
    assert 30 <= high < level < low <= 330
