"""Who may open the page: BUSI_AUTH's passwords, or accounts of the Hub."""
