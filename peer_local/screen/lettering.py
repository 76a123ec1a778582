"""Large letters of half blocks, three lines tall, for the one word that must not be overlooked."""

_LETTERS = {
    "D": ("####.", "#...#", "#...#", "#...#", "####."),
    "O": (".###.", "#...#", "#...#", "#...#", ".###."),
    "U": ("#...#", "#...#", "#...#", "#...#", ".###."),
    "B": ("####.", "#...#", "####.", "#...#", "####."),
    "L": ("#....", "#....", "#....", "#....", "#####"),
    "E": ("#####", "#....", "####.", "#....", "#####"),
    "Y": ("#...#", ".#.#.", "..#..", "..#..", "..#.."),
    "N": ("#...#", "##..#", "#.#.#", "#..##", "#...#"),
}
_HALVES = {"..": " ", "#.": "▀", ".#": "▄", "##": "█"}
LINES = 3


def large(word: str) -> tuple[str, str, str]:
    """Three lines, six columns per letter; only the letters of DOUBLE, YOU and NOBODY."""
    rows = [".".join(_LETTERS[letter][row] for letter in word) for row in range(5)]
    rows.append("." * len(rows[0]))
    above, middle, below = (
        "".join(_HALVES[top + bottom] for top, bottom in zip(rows[row], rows[row + 1], strict=True))
        for row in (0, 2, 4)
    )
    return above, middle, below
