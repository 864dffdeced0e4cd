"""The tiny detector of the other tests of bulk detection."""

from tests.bulk.conftest import model_file as model_file
