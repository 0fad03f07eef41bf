"""A page's HTML -> its title, date, language and main text, in one pass of linear time."""
