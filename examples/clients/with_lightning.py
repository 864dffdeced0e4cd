"""Lightning: a module to fit, with a validation loss."""

import torch
from lightning import LightningModule

import masu


class Learning(LightningModule):
    """``Trainer().fit(Learning(detector), loader)``; then ``masu.save(learning.model.to_masu(), path)``."""

    def __init__(self, detector):
        super().__init__()
        self.model = masu.to_torchvision(detector)

    def training_step(self, batch, index):
        """The sum of the loss terms."""
        loss = sum(self.model(*batch).values())
        self.log("loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch, index):
        """The loss of one pass in evaluation mode."""
        losses, _ = self.model.losses_and_detections(*batch)
        self.log("val_loss", sum(losses.values()), batch_size=len(batch[0]))

    def configure_optimizers(self):
        """Of the weights that learn."""
        weights = [x for x in self.model.parameters() if x.requires_grad]
        return torch.optim.SGD(weights, lr=0.005, momentum=0.9)
