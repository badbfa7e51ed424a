"""Texts with their labels: 1 is positive."""

REVIEWS = [
    ("a wonderful film with a great cast", 1),
    ("I loved every minute of it", 1),
    ("brilliant, funny and moving", 1),
    ("the best meal we had this year", 1),
    ("great service and friendly people", 1),
    ("works perfectly, I am very happy with it", 1),
    ("an excellent book, highly recommended", 1),
    ("beautiful, well made and worth the price", 1),
    ("fast delivery and good quality", 1),
    ("I would buy it again, a great product", 1),
    ("a terrible film with a weak plot", 0),
    ("I hated every minute of it", 0),
    ("boring, long and badly acted", 0),
    ("the worst meal we had this year", 0),
    ("slow service and rude people", 0),
    ("broke after a day, I am very unhappy with it", 0),
    ("an awful book, do not read it", 0),
    ("ugly, badly made and far too expensive", 0),
    ("late delivery and poor quality", 0),
    ("I want my money back, a bad product", 0),
]
