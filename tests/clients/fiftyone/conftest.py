"""FiftyOne without its database: `mongod` is a download of its installer."""

import os

os.environ["FIFTYONE_DISABLE_SERVICES"] = "1"
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
