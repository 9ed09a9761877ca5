"""Reading workflow documents: the native format, ComfyUI's API prompts, and both from inside pictures."""

from executor.formats.document import FORMAT, Document, parse_json, read_document, read_text
from executor.formats.files import read_bytes, read_file
from executor.problems import BadDocument

__all__ = ["FORMAT", "BadDocument", "Document", "parse_json", "read_bytes", "read_document", "read_file", "read_text"]
