"""What browsers get: one file of HTML and one of JavaScript per part of the page, its colours and its words."""
