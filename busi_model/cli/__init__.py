"""What stands behind `busi`: each command, and the page's start."""
