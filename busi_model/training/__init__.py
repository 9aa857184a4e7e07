"""From hospitals' images to weights and to reports of what they are worth.

command        the flags of `busi train`
study          one held-out part after another: fit, predict, calibrate on the others, evaluate, save
one_network    one of a study's networks

data/          what is learned from: layouts of hospitals, near-duplicates, splits; a download, a file for a GPU machine
fitting/       one training run: dataset, augmentation, loss, steps, what is kept of it
calibration/   the operating point, of a study or of a hospital's own cases
ood/           the detector of what is no breast ultrasound, and what it refuses
evaluation/    figures, with intervals, and their reports
release/       model card, ONNX, the Hub
"""
