"""A file at a URL, read from its first byte to its last, whatever the connection does meanwhile."""

import re
import time
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pipeline.files import UserError

TRIES = 6  # in a row without one byte more
WAIT = 0.5  # seconds before the second try, doubled before each further one: 15 s in all
PATIENCE = 60.0  # seconds for a server to answer, or to go on
PASSING = (408, 425, 429)  # of the errors below 500: those that may be gone at the next try


class Download:
    """A file as tarfile and shutil read it. A dropped connection is opened again, where the server can from that byte on.

    size: the bytes that the file should have; None: what the server says. UserErrors stand in `trouble` too, as
    webdataset changes the arguments of what passes through it.
    """

    def __init__(self, url: str, size: int | None = None):
        self.url, self.size, self.at, self.trouble = url, size, 0, ""
        self._response: HTTPResponse | None = None

    def read(self, count: int = 2**16, /) -> bytes:
        """Up to `count` bytes, none at the end. Raises UserError where the file is not to be had."""
        reason = ""
        for wait in [0.0, *(WAIT * 2**n for n in range(TRIES - 1))]:
            time.sleep(wait)
            try:
                self._response = self._response or self._open()
                if self.at == self.size:
                    return b""
                data = self._response.read(count if self.size is None else min(count, self.size - self.at))
                self.at += len(data)
                if data or self.size is None:  # a length that nobody told is over where nothing comes
                    return data
                reason = f"the connection was closed after {self.at:,} of {self.size:,} bytes"
            except HTTPError as error:
                error.close()
                reason = f"the server says {error.code} {error.reason}"
                if error.code < 500 and error.code not in PASSING:
                    raise self._failed(f"{reason}; check the address, and that the whole set was put there") from None
            except (OSError, HTTPException) as error:  # time-outs and names that nobody knows are OSErrors
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            self.close()
        raise self._failed(
            f"{reason}, {TRIES} times in a row; check network and server, then run the same command again"
        )

    def close(self) -> None:
        if self._response:
            self._response.close()
        self._response = None

    def _open(self) -> HTTPResponse:
        """A connection that goes on at the byte `at`; one to a server without ranges passes over what is there already."""
        response: HTTPResponse = urlopen(
            Request(self.url, headers={"Range": f"bytes={self.at}-"} if self.at else {}), timeout=PATIENCE
        )
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        begin = int(told[1]) if told else 0
        total = response.length if not told else int(told[2]) if told[2] != "*" else None
        self.size = total if self.size is None else self.size
        if total not in (None, self.size):
            response.close()
            raise self._failed(f"it has {total:,} bytes instead of {self.size:,}; put the whole set there again")
        while begin < self.at:
            passed = len(response.read(min(self.at - begin, 2**20)))
            if not passed:
                response.close()
                raise ConnectionError(f"the connection was closed after {begin:,} bytes")
            begin += passed
        return response

    def _failed(self, why: str) -> UserError:
        self.trouble = f"{self.url} cannot be fetched: {why}"
        return UserError(self.trouble)
