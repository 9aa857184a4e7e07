"""The viewer: one component for the image panel, for the correction of outlines and for reading sessions.

`component` is its markup and script, `field` an outline under a hand and its value in a form; what it draws of a case
comes from `images.result`. The JavaScript beside them is one program in parts; `stage.js` opens it.
"""
