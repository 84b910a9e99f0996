"""A small WordNet of our own in the files of WordNet 3.0, as NLTK reads them: no package carries the real one."""

from __future__ import annotations

from pathlib import Path

HEADER = "  1 A small WordNet for tests, in the format of WordNet 3.0 Copyright by nobody.  \n"

SYNSETS = {
    "noun": [
        ["message", "text", "content"],
        ["money", "cash"],
        ["phone", "telephone"],
        ["reply", "answer", "response"],
        ["information", "info"],
        ["prize", "award"],
        ["friend", "mate"],
        ["problem", "trouble"],
        ["misunderstanding", "mistake"],
    ],
    "verb": [
        ["reply", "answer", "respond"],
        ["call", "phone", "telephone", "ring"],
        ["send", "mail"],
        ["arrive", "come"],
        ["want", "desire", "need"],
        ["get", "receive", "obtain"],
        ["help", "assist"],
        ["win", "gain"],
        ["see", "look"],
    ],
    "adj": [["glad", "happy"], ["good", "great", "nice"], ["free", "complimentary"], ["sorry", "regretful"]],
    "adv": [["now", "today"], ["please", "kindly"], ["soon", "shortly"]],
}
TYPES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
LEXNAMES = {
    "adj": (0, "adj.all", 3),
    "adv": (1, "adv.all", 4),
    "noun": (2, "noun.Tops", 1),
    "verb": (3, "verb.body", 2),
}


def write(folder: Path) -> None:
    """Write the files of a WordNet into ``folder``."""
    folder.mkdir(parents=True)
    for part, synsets in SYNSETS.items():
        data, index = HEADER, dict[str, list[int]]()
        for words in synsets:
            offset = len(data)
            told = " ".join(f"{word} 0" for word in words)
            frames = " 00" if part == "verb" else ""
            number = LEXNAMES[part][0]
            data += f"{offset:08} {number:02} {TYPES[part]} {len(words):02x} {told} 000{frames} | of one meaning  \n"
            for word in words:
                index.setdefault(word, []).append(offset)
        lines = [
            f"{word} {TYPES[part]} {len(places)} 0 {len(places)} 0 {' '.join(f'{at:08}' for at in places)}  \n"
            for word, places in sorted(index.items())
        ]
        (folder / f"data.{part}").write_text(data, encoding="ascii")
        (folder / f"index.{part}").write_text(HEADER + "".join(lines), encoding="ascii")
        (folder / f"{part}.exc").write_text("came come\n" if part == "verb" else "", encoding="ascii")
    names = sorted(LEXNAMES.values())
    (folder / "lexnames").write_text("".join(f"{n:02}\t{name}\t{kind}\n" for n, name, kind in names), encoding="ascii")
    for empty in ("cntlist.rev", "index.sense"):
        (folder / empty).write_text("", encoding="ascii")
