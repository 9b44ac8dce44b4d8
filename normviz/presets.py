"""Published constants, each with its source, channel order and value range.

``PRESETS`` holds one mean and one std a channel each; ``MEAN_IMAGES`` names the models whose mean
is an *image* and the file to import it from (:mod:`normviz.imports`). Numbers are stored as
published; ``fraction_mean`` and ``fraction_std`` give them for RGB fractions 0…1, which is what
methods use, and ``words`` says how they were converted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChannelConstants:
    """One mean and std a channel as somebody wrote them: y = (x − mean) / std, x in 0…``scale``.

    >>> caffe = ChannelConstants((103.939, 116.779, 123.68), (1, 1, 1), 255, "BGR")
    >>> caffe.fraction_mean.round(4)
    array([0.485 , 0.458 , 0.4076])
    >>> print(caffe.words())
    Published for BGR on 0–255: mean 103.939, 116.779, 123.68, std 1; here as RGB on 0–1: \
mean 0.4850, 0.4580, 0.4076, std 0.003922.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    """The input's largest value: 1 or 255, or what a file says."""
    order: str
    """"RGB", "BGR" or "grey": the order of the numbers, and of the network's input."""

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def fraction_mean(self) -> np.ndarray:
        return self._rgb(self.mean) / self.scale

    @property
    def fraction_std(self) -> np.ndarray:
        return self._rgb(self.std) / self.scale

    def words(self, verb: str = "Published") -> str:
        """Return one sentence: the numbers as they were written, and as methods here use them."""
        if self.order != "BGR" and self.scale == 1:
            return (
                f"{verb} for {self.order} on 0–1, as used here: mean {listed(self.mean)}, "
                f"std {listed(self.std)}."
            )
        order = "RGB" if self.channels == 3 else self.order
        mean, std = (_rounded(values) for values in (self.fraction_mean, self.fraction_std))
        return (
            f"{verb} for {self.order} on 0–{self.scale:g}: mean {listed(self.mean)}, "
            f"std {listed(self.std)}; here as {order} on 0–1: mean {mean}, std {std}."
        )

    def _rgb(self, values: tuple[float, ...]) -> np.ndarray:
        return np.array(values[::-1] if self.order == "BGR" else values, np.float64)


def listed(values: tuple[float, ...]) -> str:
    """Return the numbers as text, one where all are the same."""
    return ", ".join(f"{value:.8g}" for value in (values[:1] if len(set(values)) == 1 else values))


def _rounded(values: np.ndarray) -> str:
    listed = values[:1] if np.ptp(values) == 0 else values
    return ", ".join(f"{v:.4f}" if v >= 0.1 or v == 0 else f"{v:.4g}" for v in listed)


@dataclass(frozen=True, kw_only=True)
class Preset(ChannelConstants):
    """A published pair of mean and std.

    >>> PRESETS["vgg"].fraction_mean.round(4)
    array([0.485 , 0.458 , 0.4076])
    """

    key: str
    title: str
    source: str
    """Repository and path where the numbers were read, or "reported" where none is primary."""
    family: str
    models: str = ""
    """Which networks take it."""
    note: str = ""
    folklore: bool = False
    """Whether it is known to be wrong and copied all the same; the note explains."""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class MeanImagePreset:
    """A model whose mean is an image: which file to import, since none is bundled."""

    key: str
    title: str
    files: tuple[str, ...]
    """Names under which the file is published."""
    height: int
    width: int
    source: str
    order: str = "BGR"
    scale: float = 255
    note: str = ""
    url: str = ""

    def words(self) -> str:
        """Return one sentence that says what to import."""
        return (
            f"{self.title} subtracts a mean image of {self.height}×{self.width} ({self.order}, "
            f"0–{self.scale:g}), which is not bundled: import {' or '.join(self.files)}."
        )


_CLASSIFIERS = "ImageNet classifiers"
_CAFFE = "Caffe: mean pixel"
_PAIRS = "Images and text"
_DETECTION = "Detection and segmentation"
_FACES = "Faces"
_VIDEO = "Video and satellite"
_SETS = "Small image sets"
_FOLKLORE = "Folklore: known to be wrong"

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TIMM = "huggingface/pytorch-image-models timm/data/constants.py"
_TIMM_URL = "https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/constants.py"
_REPORTED = "widely reported, no primary source known"
_SMALLER = (
    "Folklore: this std is smaller than the pooled one by a fifth, in the way of CIFAR-10's, "
    "which is the mean of per-image stds; whether it came about so is not documented."
)


def _by_key(*presets: Preset) -> dict[str, Preset]:
    return {preset.key: preset for preset in presets}


PRESETS: dict[str, Preset] = _by_key(
    Preset(
        key="imagenet",
        title="ImageNet (torchvision, timm, DINOv2)",
        mean=_IMAGENET[0],
        std=_IMAGENET[1],
        scale=1,
        order="RGB",
        family=_CLASSIFIERS,
        source=f"{_TIMM} (IMAGENET_DEFAULT)",
        models="nearly all weights of torchvision, timm's default (its MobileNetV2 too, such as "
        "mobilenetv2_100.ra_in1k), DINOv2, SegFormer; Keras mode “torch” (DenseNet); inside the "
        "graph of Keras' ConvNeXt and EfficientNet",
        note="Its std is probably a mean of per-image stds of a lost subset (pytorch/vision#1439).",
        url=_TIMM_URL,
    ),
    Preset(
        key="half",
        title="0.5 / 0.5 (Inception; ViT and SigLIP in timm)",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        scale=1,
        order="RGB",
        family=_CLASSIFIERS,
        source=f"{_TIMM} (IMAGENET_INCEPTION)",
        models="Inception, Xception, NASNet, BiT, ViT, SigLIP and EfficientNet-Lite (tf) in timm; "
        "IMAGENET_STANDARD in Hugging Face; EfficientNetV2-L in torchvision; Keras mode “tf” "
        "(MobileNet and V2, Inception, Xception, NASNet, ResNetV2); ArcFace (127.5 and 127.5 on "
        "0–255)",
        note="The same as scaling to [−1, 1]. Not what torchvision's ResNets were trained with: "
        "the checkpoint decides, not the architecture.",
        url=_TIMM_URL,
    ),
    Preset(
        key="unit",
        title="0 / 1: fractions as they are (YOLO, MobileViT)",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        scale=1,
        order="RGB",
        family=_CLASSIFIERS,
        source="ultralytics/ultralytics ultralytics/data/augment.py (DEFAULT_MEAN, DEFAULT_STD)",
        models="YOLOv5 to YOLO11 (Ultralytics); MobileViT, MobileCLIP and TResNet in timm",
        note="The same as scaling to [0, 1].",
        url="https://github.com/ultralytics/ultralytics/blob/main/ultralytics/data/augment.py",
    ),
    Preset(
        key="dpn",
        title="DPN",
        mean=(124 / 255, 117 / 255, 104 / 255),
        std=(1 / (0.0167 * 255),) * 3,
        scale=1,
        order="RGB",
        family=_CLASSIFIERS,
        source=f"{_TIMM} (IMAGENET_DPN)",
        models="Dual path networks",
        url=_TIMM_URL,
    ),
    Preset(
        key="efficientnet_lite",
        title="EfficientNet-Lite (127 / 128)",
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        scale=255,
        order="RGB",
        family=_CLASSIFIERS,
        source="tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py",
        models="EfficientNet-Lite0 to Lite4, and their ports that keep these numbers (timm's takes "
        "0.5 / 0.5)",
        note="Black becomes −0.992 and white 1: not quite 0.5 / 0.5.",
        url="https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py",
    ),
    Preset(
        key="vgg",
        title="VGG-16/19 (Caffe)",
        mean=(103.939, 116.779, 123.68),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_CAFFE,
        source="K. Simonyan's model card, gist 211839e770f7b538e2d8",
        models="VGG-16, VGG-19; Keras mode “caffe” (VGG, ResNet50 to ResNet152)",
        note="Mean pixel only; the network takes BGR.",
        url="https://gist.github.com/ksimonyan/211839e770f7b538e2d8",
    ),
    Preset(
        key="vgg_torchvision",
        title="VGG-16 features, SSD300 (torchvision)",
        mean=(0.48235, 0.45882, 0.40784),
        std=(1 / 255, 1 / 255, 1 / 255),
        scale=1,
        order="RGB",
        family=_CAFFE,
        source="pytorch/vision torchvision/models/vgg.py, models/detection/ssd.py",
        models="VGG16_Weights.IMAGENET1K_FEATURES, SSD300",
        note="The same subtraction as VGG's in RGB: dividing by 1/255 returns to 0–255.",
        url="https://github.com/pytorch/vision/blob/main/torchvision/models/vgg.py",
    ),
    Preset(
        key="googlenet",
        title="GoogLeNet (Caffe)",
        mean=(104.0, 117.0, 123.0),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_CAFFE,
        source="BVLC/caffe models/bvlc_googlenet/train_val.prototxt (mean_value)",
        models="GoogLeNet; SSD, and CaffeNet when it is not given its mean image",
        note="Mean pixel only; the network takes BGR.",
        url="https://github.com/BVLC/caffe/blob/master/models/bvlc_googlenet/train_val.prototxt",
    ),
    Preset(
        key="ilsvrc_mean_pixel",
        title="Mean of ilsvrc_2012_mean (FCN, DeepLab, HED)",
        mean=(104.00698793, 116.66876762, 122.67891434),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_CAFFE,
        source=_REPORTED,
        models="FCN, DeepLab v2 and HED in Caffe, and many ports of them",
        note="Reported as the mean over the positions of Caffe's mean image.",
    ),
    Preset(
        key="clip",
        title="CLIP (OpenAI)",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
        scale=1,
        order="RGB",
        family=_PAIRS,
        source=f"{_TIMM} (OPENAI_CLIP)",
        models="CLIP, BLIP and Pixtral",
        url=_TIMM_URL,
    ),
    Preset(
        key="imagenet_255",
        title="ImageNet on 0–255 (MMDetection, SAM)",
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        scale=255,
        order="RGB",
        family=_DETECTION,
        source="facebookresearch/segment-anything segment_anything/build_sam.py",
        models="SAM; most models of MMDetection, MMSegmentation and MMAction2",
        note="ImageNet's numbers times 255, for pixels that are not divided by 255 first.",
        url="https://github.com/facebookresearch/segment-anything/blob/main/segment_anything/build_sam.py",
    ),
    Preset(
        key="detectron2",
        title="Detectron2 (BGR, mean only)",
        mean=(103.53, 116.28, 123.675),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_DETECTION,
        source="facebookresearch/detectron2 detectron2/config/defaults.py (PIXEL_MEAN, PIXEL_STD)",
        models="Detectron2 on MSRA's and Detectron1's weights; “caffe” models of MMDetection",
        note="The std is in the weights of the first layer.",
        url="https://github.com/facebookresearch/detectron2/blob/main/detectron2/config/defaults.py",
    ),
    Preset(
        key="detectron2_std",
        title="Detectron2 X-101, RTMDet (BGR, mean and std)",
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        scale=255,
        order="BGR",
        family=_DETECTION,
        source="facebookresearch/detectron2 "
        "configs/COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x.yaml",
        models="Detectron2's ResNeXt-101 models; RTMDet in MMDetection",
        note="ImageNet's numbers times 255, turned to BGR.",
        url="https://github.com/facebookresearch/detectron2/blob/main/configs/COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x.yaml",
    ),
    Preset(
        key="faster_rcnn",
        title="Faster R-CNN, Mask R-CNN (Detectron, Caffe2)",
        mean=(102.9801, 115.9465, 122.7717),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_DETECTION,
        source="facebookresearch/maskrcnn-benchmark maskrcnn_benchmark/config/defaults.py",
        models="Faster R-CNN in Caffe, Detectron, maskrcnn-benchmark, FCOS",
        note="Mean pixel only; the network takes BGR.",
        url="https://github.com/facebookresearch/maskrcnn-benchmark/blob/main/maskrcnn_benchmark/config/defaults.py",
    ),
    Preset(
        key="centernet",
        title="CenterNet (COCO, BGR on 0–1)",
        mean=(0.40789654, 0.44719302, 0.47026115),
        std=(0.28863828, 0.27408164, 0.27809835),
        scale=1,
        order="BGR",
        family=_DETECTION,
        source="xingyizhou/CenterNet src/lib/datasets/dataset/coco.py",
        models="CenterNet",
        note="BGR although the range is 0–1: the image is read by OpenCV.",
        url="https://github.com/xingyizhou/CenterNet/blob/master/src/lib/datasets/dataset/coco.py",
    ),
    Preset(
        key="vggface",
        title="VGGFace",
        mean=(93.5940, 104.7624, 129.1863),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_FACES,
        source="rcmalli/keras-vggface keras_vggface/utils.py (version=1)",
        models="VGG-Face",
        note="Mean pixel only; the network takes BGR.",
        url="https://github.com/rcmalli/keras-vggface/blob/master/keras_vggface/utils.py",
    ),
    Preset(
        key="vggface2",
        title="VGGFace2",
        mean=(91.4953, 103.8827, 131.0912),
        std=(1.0, 1.0, 1.0),
        scale=255,
        order="BGR",
        family=_FACES,
        source="rcmalli/keras-vggface keras_vggface/utils.py (version=2)",
        models="ResNet-50 and SE-ResNet-50 of VGGFace2",
        note="Mean pixel only; the network takes BGR (ox-vgg/vgg_face2 README).",
        url="https://github.com/rcmalli/keras-vggface/blob/master/keras_vggface/utils.py",
    ),
    Preset(
        key="mtcnn",
        title="MTCNN, FaceNet, SCRFD (127.5 / 128)",
        mean=(127.5, 127.5, 127.5),
        std=(128.0, 128.0, 128.0),
        scale=255,
        order="RGB",
        family=_FACES,
        source="timesler/facenet-pytorch models/mtcnn.py (fixed_image_standardization)",
        models="MTCNN, FaceNet in facenet-pytorch, SCRFD in InsightFace; the recognisers of "
        "InsightFace (ArcFace) divide by 127.5",
        url="https://github.com/timesler/facenet-pytorch/blob/master/models/mtcnn.py",
    ),
    Preset(
        key="kinetics",
        title="Kinetics-400 (torchvision video)",
        mean=(0.43216, 0.394666, 0.37645),
        std=(0.22803, 0.22145, 0.216989),
        scale=1,
        order="RGB",
        family=_VIDEO,
        source="pytorch/vision torchvision/transforms/_presets.py (VideoClassification)",
        models="R3D, MC3, R(2+1)D, S3D in torchvision",
        url="https://github.com/pytorch/vision/blob/main/torchvision/transforms/_presets.py",
    ),
    Preset(
        key="slowfast",
        title="0.45 / 0.225 (SlowFast, X3D, MViT)",
        mean=(0.45, 0.45, 0.45),
        std=(0.225, 0.225, 0.225),
        scale=1,
        order="RGB",
        family=_VIDEO,
        source="facebookresearch/SlowFast slowfast/config/defaults.py (DATA.MEAN, DATA.STD)",
        models="SlowFast, X3D and MViT; MViT in torchvision; PyTorchVideo's default",
        note="One number for all channels.",
        url="https://github.com/facebookresearch/SlowFast/blob/main/slowfast/config/defaults.py",
    ),
    Preset(
        key="csn",
        title="Channel-separated networks (ip-CSN, ir-CSN)",
        mean=(110.2008, 100.63983, 95.99475),
        std=(58.14765, 56.46975, 55.332195),
        scale=255,
        order="RGB",
        family=_VIDEO,
        source="open-mmlab/mmaction2 "
        "configs/recognition/csn/ircsn_r152_32x2x1-180e_kinetics400-rgb.py",
        models="ip-CSN and ir-CSN on Kinetics, in MMAction2",
        note="Kinetics' numbers times 255.",
        url="https://github.com/open-mmlab/mmaction2/tree/main/configs/recognition/csn",
    ),
    Preset(
        key="dinov3_satellite",
        title="DINOv3 on satellite images (SAT-493M)",
        mean=(0.430, 0.411, 0.296),
        std=(0.213, 0.156, 0.143),
        scale=1,
        order="RGB",
        family=_VIDEO,
        source="huggingface/pytorch-image-models timm/models/eva.py",
        models="The two DINOv3 models trained on satellite images",
        url="https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/eva.py",
    ),
    Preset(
        key="cifar10",
        title="CIFAR-10",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        scale=1,
        order="RGB",
        family=_SETS,
        source="kuangliu/pytorch-cifar#129 (reported)",
        note="Pooled std. On 0–255 it stands in uoguelph-mlrg/Cutout train.py: 125.3, 123.0, "
        "113.9 and 63.0, 62.1, 66.7.",
        url="https://github.com/kuangliu/pytorch-cifar/issues/129",
    ),
    Preset(
        key="cifar100",
        title="CIFAR-100",
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
        scale=1,
        order="RGB",
        family=_SETS,
        source="weiaicunzai/pytorch-cifar100 conf/global_settings.py",
        url="https://github.com/weiaicunzai/pytorch-cifar100/blob/master/conf/global_settings.py",
    ),
    Preset(
        key="mnist",
        title="MNIST",
        mean=(0.1307,),
        std=(0.3081,),
        scale=1,
        order="grey",
        family=_SETS,
        source="pytorch/examples mnist/main.py",
        url="https://github.com/pytorch/examples/blob/main/mnist/main.py",
    ),
    Preset(
        key="fashion_mnist",
        title="Fashion-MNIST",
        mean=(0.2860,),
        std=(0.3530,),
        scale=1,
        order="grey",
        family=_SETS,
        source=_REPORTED,
    ),
    Preset(
        key="svhn",
        title="SVHN",
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
        scale=1,
        order="RGB",
        family=_SETS,
        source=_REPORTED,
        note="Of the training set without “extra”.",
    ),
    Preset(
        key="svhn_extra",
        title="SVHN with “extra”",
        mean=(109.9 / 255, 109.7 / 255, 113.8 / 255),
        std=(50.1 / 255, 50.6 / 255, 50.8 / 255),
        scale=1,
        order="RGB",
        family=_SETS,
        source="uoguelph-mlrg/Cutout train.py",
        note="Used for the training set and “extra” together.",
        url="https://github.com/uoguelph-mlrg/Cutout/blob/master/train.py",
    ),
    Preset(
        key="stl10",
        title="STL-10",
        mean=(0.4467, 0.4398, 0.4066),
        std=(0.2603, 0.2566, 0.2713),
        scale=1,
        order="RGB",
        family=_SETS,
        source=_REPORTED,
    ),
    Preset(
        key="tiny_imagenet",
        title="Tiny ImageNet",
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
        scale=1,
        order="RGB",
        family=_SETS,
        source=_REPORTED,
    ),
    Preset(
        key="cifar10_folklore",
        title="CIFAR-10, folklore std",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        scale=1,
        order="RGB",
        family=_FOLKLORE,
        source="kuangliu/pytorch-cifar main.py, widely copied; see kuangliu/pytorch-cifar#129",
        note="Folklore: this std is the mean of per-image stds, not the pooled std.",
        folklore=True,
        url="https://github.com/kuangliu/pytorch-cifar/issues/129",
    ),
    Preset(
        key="cifar100_folklore",
        title="CIFAR-100, folklore std",
        mean=(0.5071, 0.4866, 0.4409),
        std=(0.2009, 0.1984, 0.2023),
        scale=1,
        order="RGB",
        family=_FOLKLORE,
        source="mmasana/FACIL src/datasets/dataset_config.py, widely copied",
        note=_SMALLER,
        folklore=True,
        url="https://github.com/mmasana/FACIL/blob/master/src/datasets/dataset_config.py",
    ),
    Preset(
        key="tiny_imagenet_folklore",
        title="Tiny ImageNet, folklore std",
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2302, 0.2265, 0.2262),
        scale=1,
        order="RGB",
        family=_FOLKLORE,
        source="tjmoon0104/pytorch-tiny-imagenet (reported), widely copied",
        note=_SMALLER,
        folklore=True,
    ),
    Preset(
        key="stl10_folklore",
        title="STL-10, folklore std",
        mean=(0.4467, 0.4398, 0.4066),
        std=(0.2242, 0.2215, 0.2239),
        scale=1,
        order="RGB",
        family=_FOLKLORE,
        source="widely copied (reported)",
        note=_SMALLER,
        folklore=True,
    ),
    Preset(
        key="imagenet_reversed",
        title="ImageNet in BGR order on RGB, folklore",
        mean=_IMAGENET[0][::-1],
        std=_IMAGENET[1][::-1],
        scale=1,
        order="RGB",
        family=_FOLKLORE,
        source="found in public code that turns BGR to RGB first (reported)",
        note="Folklore: 0.406, 0.456, 0.485 is right for an image as OpenCV reads it. On RGB "
        "red comes out 0.31 (black) to 0.39 (white) too high for the network, and blue as much too "
        "low.",
        folklore=True,
    ),
)


def _files(*presets: MeanImagePreset) -> dict[str, MeanImagePreset]:
    return {preset.key: preset for preset in presets}


MEAN_IMAGES: dict[str, MeanImagePreset] = _files(
    MeanImagePreset(
        key="caffenet",
        title="CaffeNet and AlexNet (Caffe)",
        files=("imagenet_mean.binaryproto", "ilsvrc_2012_mean.npy"),
        height=256,
        width=256,
        source="BVLC/caffe models/bvlc_reference_caffenet/train_val.prototxt (mean_file)",
        note="Caffe cuts image and mean image at the same place, 227 of 256; pycaffe resizes the "
        "mean image to 227.",
        url="https://github.com/BVLC/caffe/blob/master/models/bvlc_reference_caffenet/train_val.prototxt",
    ),
    MeanImagePreset(
        key="cnn_s",
        title="CNN_S, CNN_M and CNN_F (Chatfield et al. 2014)",
        files=("VGG_mean.binaryproto",),
        height=256,
        width=256,
        source="robots.ox.ac.uk/~vgg/software/deep_eval/releases/bvlc (reported)",
        note="The networks that the question on Cross Validated is about.",
        url="https://www.robots.ox.ac.uk/~vgg/research/deep_eval/",
    ),
    MeanImagePreset(
        key="msra_resnet",
        title="ResNet-50, -101 and -152 (MSRA, Caffe)",
        files=("ResNet_mean.binaryproto",),
        height=224,
        width=224,
        source="KaimingHe/deep-residual-networks#5",
        note="Keras' ResNet50 took over these weights with VGG's mean pixel instead.",
        url="https://github.com/KaimingHe/deep-residual-networks/issues/5",
    ),
)
