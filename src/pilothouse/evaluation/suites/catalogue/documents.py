"""Short documents of made-up places, each with one fact to ask for: no model can know them by heart."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    """A document, a question that it answers and the accepted answers, a question that it does not answer."""

    name: str
    text: str
    question: str
    accepted: tuple[str, ...]
    trap: str


NOTES = (
    Note("library", "The Brennick town library opens at 9:30 on weekdays and is closed on Sundays. Members may borrow up to seven books for three weeks.", "How many books may a member borrow?", ("7", "seven"), "What does a library card cost?"),
    Note("ferry", "The ferry to Oltar island leaves from pier 4 every two hours. The crossing takes 35 minutes and bicycles travel free.", "How long does the crossing take?", ("35 minutes", "35 min", "thirty-five minutes"), "Who is the captain of the ferry?"),
    Note("bakery", "Marlow's bakery sells rye bread on Tuesdays and Fridays. Orders for cakes must be placed two days ahead by note at the counter.", "On which days is rye bread sold?", ("Tuesdays and Fridays", "Tuesday and Friday"), "How many people work at the bakery?"),
    Note("museum", "The clock museum in Feldau shows 212 clocks. The oldest was made in 1641 by Ida Sommer, and guided tours start at noon.", "Who made the oldest clock?", ("Ida Sommer",), "What does a guided tour cost?"),
    Note("garden", "The Hollin garden club meets in the greenhouse on the first Monday of each month. New members bring one plant in place of a fee.", "Where does the club meet?", ("greenhouse",), "How many members does the club have?"),
    Note("printer", "The Tandem 300 printer holds 250 sheets. Its blue lamp blinks when toner is low and stays lit when paper is missing.", "How many sheets does the printer hold?", ("250",), "How many pages a minute does the printer print?"),
    Note("train", "The night train from Kesta stops in Dorn at 23:10 and arrives in Velmark at 06:45. Sleeping cars are at the front.", "When does the train arrive in Velmark?", ("06:45", "6:45"), "How many sleeping cars does the train have?"),
    Note("school", "Pupils of the Aske school hand in projects on Thursday. The prize for the best project is a telescope, given by the town.", "What is the prize for the best project?", ("telescope",), "Who won the prize last year?"),
    Note("return", "Goods bought at Norrin can be returned within 40 days with the receipt. Opened software is exchanged for the same title only.", "Within how many days can goods be returned?", ("40", "forty"), "Who pays for the return postage?"),
    Note("river", "The river Ulm rises at lake Sarn and flows 88 kilometres to the sea at Port Ebbe. Salmon have been seen since the weir was opened.", "Where does the river rise?", ("lake Sarn", "Sarn"), "How deep is the river at its mouth?"),
    Note("choir", "The Tamsin choir sings in the old mill. Rehearsals are led by Peter Voll, who plays the viola in the town orchestra.", "What instrument does Peter Voll play?", ("viola",), "In which year was the choir founded?"),
    Note("bridge", "The Calder bridge was painted green in spring. It carries trams and cyclists, while lorries take the tunnel to the north.", "What colour was the bridge painted?", ("green",), "How long is the Calder bridge?"),
    Note("warranty", "The Elm kettle has a warranty of three years. It switches off after ten seconds without water and weighs 900 grams.", "How long is the warranty?", ("three years", "3 years", "3-year", "three-year"), "What does the kettle cost?"),
    Note("meeting", "The board met on 4 March. It approved the new roof, put off the parking plan to autumn, and thanked Rosa Lind for ten years of work.", "What did the board put off to autumn?", ("parking plan", "parking"), "How much will the new roof cost?"),
    Note("recipe", "For Sunna soup cook lentils with carrots for 25 minutes, then add lemon. It serves four and keeps two days when it is cold.", "How many people does the soup serve?", ("4", "four"), "How much salt does the soup need?"),
    Note("hotel", "Hotel Perle has 18 rooms, all with a view of the harbour. Breakfast is served until ten, and dogs are welcome on the ground floor.", "How many rooms does the hotel have?", ("18", "eighteen"), "What does a room cost for a night?"),
    Note("race", "The Lorne run is 12 kilometres long and starts at the chapel. Last year Mina Okar won it in 41 minutes, before two brothers from Dorn.", "Who won the run last year?", ("Mina Okar", "Okar"), "How many people took part last year?"),
    Note("office", "The Quill office moves to the third floor in May. Desks are chosen by lot, and the kitchen will be shared with the design team.", "To which floor does the office move?", ("third", "3rd", "3"), "How many desks are there in the office?"),
    Note("theatre", "The Iris theatre plays The Salt Road until 12 June. Seats in the last row are half price, and doors close at eight.", "What play is shown at the theatre?", ("The Salt Road", "Salt Road"), "Who directs the play?"),
    Note("farm", "The Heath farm keeps goats and bees. Cheese is sold at the gate on Saturdays, and the honey won a silver medal in Feldau.", "What animals does the farm keep?", ("goats and bees", "bees and goats"), "How big is the farm in hectares?"),
)  # fmt: skip
