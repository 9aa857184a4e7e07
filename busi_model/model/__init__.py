"""The network and all that is stored with it.

encoder, network                 EfficientNet-Lite; MultiTaskUNet: logits only; the device that it runs on
preprocess                       Frame <-> the network's square
operating_point                  temperatures and thresholds, and what they are worth: the only place that decides
ood, quality                     is it a breast ultrasound? calipers, text, split screen?
weights_folder, weights_files    where weights lie, and what their files hold
checkpoint                       a weights folder <-> network and all that belongs to it

`busi_model.predict.Predictor` is the way in.
"""
