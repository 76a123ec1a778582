"""What is said in the benches of the cloned voice: our own words, at three words a second."""

from typing import Final

WORDS_PER_S: Final = 2.6
FIRST_CLAUSE: Final = "Yes, that could work."
"""Four words."""
CLAUSE: Final = "I will send you the numbers before the meeting begins."
"""Ten words."""
READ_ALOUD: Final = (
    "The river was low that summer and the boats lay on the sand until the evening. We walked along the bank with our "
    "shoes in our hands and counted the herons that stood in the shallow water. My brother said that he had seen nine "
    "of them. I had seen only seven, but I did not say so, because he was younger and very proud of his eyes. When it "
    "became dark we lit a small fire and boiled potatoes in the black pot. Nobody spoke much. The wind came from the "
    "hills and smelled of hay, and from the far side we could hear a dog and a radio."
)


def words(seconds: float) -> str:
    """What somebody reads aloud in `seconds`."""
    parts = READ_ALOUD.split()
    wanted = round(seconds * WORDS_PER_S)
    return " ".join((parts * (wanted // len(parts) + 1))[:wanted]).rstrip(".,") + "."
