"""The preprocessing of published models, each with the source that it was read in."""

from __future__ import annotations

from dataclasses import dataclass

from normviz.methods.base import Source
from normviz.methods.dataset import DatasetMeanImage, DatasetZScore
from normviz.pipeline.base import Step
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.pipeline import Pipeline
from normviz.pipeline.values import ChannelOrder, MeanStd, Scale, ToRGB


@dataclass(frozen=True)
class Known:
    """One model's preprocessing of images to classify or to embed.

    A pipeline with a mean image is fitted on the file that ``note`` names; all others hold their
    numbers.
    """

    title: str
    pipeline: Pipeline
    source: Source
    note: str = ""


_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_BGR_MEAN = 103.939, 116.779, 123.68
_KERAS = "https://github.com/keras-team/keras/blob/master/keras/src/applications/imagenet_utils.py"
_LOAD_IMG = (
    "Keras' load_img(target_size=…) squeezes to a square with the nearest pixel by default; "
    "keras.layers.Resizing would be bilinear."
)


def _torchvision(resize: int, crop: int) -> Pipeline:
    return _published(Resize(resize), CentreCrop(crop), Scale(), MeanStd(*_IMAGENET))


def _published(*steps: Step) -> Pipeline:
    return Pipeline((ToRGB(), *steps))


KNOWN: dict[str, Known] = {
    "resnet50": Known(
        "ResNet-50 (torchvision, IMAGENET1K_V1)",
        _torchvision(256, 224),
        Source(
            "torchvision/transforms/_presets.py, ImageClassification; models/resnet.py",
            "https://github.com/pytorch/vision/blob/main/torchvision/transforms/_presets.py",
        ),
        "Also VGG, DenseNet, MobileNetV2 V1, ViT-B/16 V1 and most of torchvision's first weights.",
    ),
    "resnet50_v2": Known(
        "ResNet-50 (torchvision, IMAGENET1K_V2, its DEFAULT)",
        _torchvision(232, 224),
        Source(
            "torchvision/models/resnet.py, ResNet50_Weights.IMAGENET1K_V2: resize_size=232",
            "https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py",
        ),
        "The same network with other weights: 232 instead of 256 keeps more of the picture.",
    ),
    "clip_vit_b32": Known(
        "CLIP ViT-B/32 (OpenAI)",
        _published(Resize(224, interpolation="bicubic"), CentreCrop(224), Scale(), MeanStd(*_CLIP)),
        Source("openai/CLIP clip/clip.py", "https://github.com/openai/CLIP/blob/main/clip/clip.py"),
        "OpenAI's code turns grey into RGB after the crop, which gives the same.",
    ),
    "dinov2": Known(
        "DINOv2",
        _published(
            Resize(256, interpolation="bicubic"), CentreCrop(224), Scale(), MeanStd(*_IMAGENET)
        ),
        Source(
            "facebookresearch/dinov2 dinov2/data/transforms.py, make_classification_eval_transform",
            "https://github.com/facebookresearch/dinov2/blob/main/dinov2/data/transforms.py",
        ),
    ),
    "vit_b16_hf": Known(
        "ViT-B/16 (google/vit-base-patch16-224, Hugging Face)",
        _published(Resize(224, "both"), Scale(), MeanStd((0.5,), (0.5,))),
        Source(
            "preprocessor_config.json: size 224, resample 2 (bilinear), mean and std 0.5",
            "https://huggingface.co/google/vit-base-patch16-224/blob/main/preprocessor_config.json",
        ),
        "Squeezes the picture to a square; nothing is cut off.",
    ),
    "inception_v3_timm": Known(
        "Inception-v3 (timm)",
        _published(
            Resize(341, interpolation="bicubic"),
            CentreCrop(299),
            Scale(),
            MeanStd((0.5,), (0.5,)),
        ),
        Source(
            "timm/models/inception_v3.py: 299, crop_pct 0.875, bicubic, Inception mean and std",
            "https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/inception_v3.py",
        ),
        "timm resizes to ⌊299 / 0.875⌋ = 341.",
    ),
    "vgg16_caffe": Known(
        "VGG-16 (Caffe)",
        _published(
            # To float: MATLAB resizes singles, so bicubic overshoots are kept.
            Scale(1.0),
            Resize(256, interpolation="bicubic"),
            CentreCrop(224),
            ChannelOrder(),
            MeanStd(_BGR_MEAN, (1.0,)),
        ),
        Source(
            "K. Simonyan's model card, and BVLC/caffe matlab/caffe/matcaffe_demo_vgg_mean_pix.m",
            "https://gist.github.com/ksimonyan/211839e770f7b538e2d8",
        ),
        "The middle one of the ten crops of the MATLAB example, whose imresize rounds the other "
        "side up.",
    ),
    "caffenet": Known(
        "CaffeNet, AlexNet (Caffe, with a mean image)",
        _published(
            Resize(256, "both", library="opencv"),
            ChannelOrder(),
            Normalize(DatasetMeanImage()),
            CentreCrop(227),
        ),
        Source(
            "BVLC/caffe models/bvlc_reference_caffenet/train_val.prototxt (crop_size, mean_file); "
            "examples/imagenet/create_imagenet.sh (256×256)",
            "https://github.com/BVLC/caffe/blob/master/models/bvlc_reference_caffenet/train_val.prototxt",
        ),
        "Fit it on imagenet_mean.binaryproto, which is imported.",
    ),
    "resnet50_msra": Known(
        "ResNet-50, -101, -152 (MSRA, Caffe, with a mean image)",
        _published(Resize(256), CentreCrop(224), ChannelOrder(), Normalize(DatasetMeanImage())),
        Source(
            "KaimingHe/deep-residual-networks, README (shorter side 256, centre 224) and issue 5 "
            "(BGR, the mean image of 224×224 after the crop)",
            "https://github.com/KaimingHe/deep-residual-networks/issues/5",
        ),
        "Fit it on ResNet_mean.binaryproto, which is imported. With which filter the images were "
        "resized is not said.",
    ),
    "vgg16_keras": Known(
        "VGG-16, ResNet-50 (Keras, mode “caffe”)",
        _published(
            Resize(224, "both", "nearest"),
            ChannelOrder(),
            MeanStd(_BGR_MEAN, (1.0,)),
        ),
        Source("keras/src/applications/imagenet_utils.py", _KERAS),
        _LOAD_IMG,
    ),
    "mobilenet_v2_keras": Known(
        "MobileNetV2, Inception (Keras, mode “tf”)",
        _published(Resize(224, "both", "nearest"), Scale(1 / 127.5, -1.0)),
        Source("keras/src/applications/imagenet_utils.py", _KERAS),
        _LOAD_IMG,
    ),
}

MEASURED_AT_FULL_SIZE = Pipeline((Normalize(DatasetZScore()), Resize(256), CentreCrop(224)))
"""Mean and std of the set as its files are, then the size that the network takes."""

MEASURED_AFTER_RESIZE = Pipeline((Resize(256), CentreCrop(224), Normalize(DatasetZScore())))
"""Mean and std of what the network gets. See :func:`normviz.pipeline.effect.order_effect`."""
