"""The viewer: one component for the image panel, for the correction of outlines and for reading sessions.

`component` is its markup and script, `scene` a case as the data that it draws, `outlines` what an outline under a hand
is made of. The JavaScript beside them is one program in parts; `stage.js` opens it.
"""
