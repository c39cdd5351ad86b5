"""
Tests of C{matrix_federation_agent._tls.roots} and C{matrix_federation_agent._tls.files}.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from matrix_federation_agent._tls import files, roots
from matrix_federation_agent._tls.files import marks
from matrix_federation_agent._tls.roots import _places, doubts, read_roots, system_roots_exist
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase
from tests.tls.files import NOW, FilesCase, root

ONE, TWO = root("one"), root("two")


class RootsCase(FilesCase):
    """
    A test that reads roots.
    """

    def refused(self, path: str | Path) -> str:
        """
        Tell why a path cannot be used, without the path.
        """
        error = self.assertRaises(ConfigurationError, read_roots, [str(path)])
        self.assertEqual((error.setting, error.phase), ("ca_files", "configuration"))
        self.assertIn(str(path), str(error))
        return str(error.reason).replace(str(path), "PATH")


class NamedFilesTests(RootsCase):
    """
    Files that a policy names.
    """

    def test_T6_each_root_once(self) -> None:
        """
        Every certificate in every file is read, and counts once.
        """
        paths = [self.file(ONE.pem, TWO.pem, ONE.pem), self.file(TWO.pem)]
        self.assertEqual(read_roots(paths), [ONE.certificate, TWO.certificate])

    def test_T6_no_certificates(self) -> None:
        """
        What a file holds instead is said.
        """
        crl = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
        contents = (b"", b"hello", ONE.key_pem, crl + ONE.key_pem)
        self.assertEqual(
            [self.refused(self.file(content)) for content in contents],
            ["ca_files: PATH holds no PEM certificate"] * 2
            + ["ca_files: PATH holds a PRIVATE KEY, but no certificate"]
            + ["ca_files: PATH holds a PRIVATE KEY and a X509 CRL, but no certificate"],
        )

    def test_T6_der(self) -> None:
        """
        A binary certificate is told what it must be.
        """
        path = self.file(ONE.certificate.public_bytes(Encoding.DER))
        self.assertEqual(self.refused(path), "ca_files: PATH is a certificate in DER; it must be PEM (openssl x509)")

    def test_T6_the_place_is_named(self) -> None:
        """
        A broken certificate is named by its file, its line and its number.
        """
        path = self.file(b"# ours\n", ONE.pem, TWO.pem.replace(b"M", b"?", 1))
        line = len(ONE.pem.splitlines()) + 2
        self.assertEqual(self.refused(path), f"ca_files: PATH, line {line}: certificate 2 is malformed: not base64")

    def test_T6_unreadable(self) -> None:
        """
        A file that is missing, a path that is none, and a pipe, which would never end, are refused.
        """
        pipe = self.mktemp()
        os.mkfifo(pipe)
        self.assertEqual(self.refused(self.mktemp()), "ca_files: PATH cannot be read: No such file or directory")
        self.assertIn("PATH cannot be read: ", self.refused("\x00"))
        self.assertEqual(self.refused(pipe), "ca_files: PATH is no regular file")

    def test_T6_too_long(self) -> None:
        """
        A file that is longer than any bundle is not read to its end.
        """
        self.patch(files, "MAX_FILE_BYTES", len(ONE.pem))
        self.assertEqual(len(read_roots([self.file(ONE.pem)])), 1)
        self.assertIn("is longer than", self.refused(self.file(ONE.pem, b"\n")))


class DirectoryTests(RootsCase):
    """
    Directories that a policy names.
    """

    def test_T6_names(self) -> None:
        """
        The files with the ending of a certificate count, and those with a hash for a name; hidden ones do not.
        """
        made = [root(f"root {number}") for number in range(6)]
        named = ("a__pem", "b__CRT", "c__cer", "0a1b2c3d__0", "d__txt", "__e__pem")
        directory = self.directory(**{name: one.pem for name, one in zip(named, made, strict=True)})
        self.assertEqual(set(read_roots([str(directory)])), {one.certificate for one in made[:4]})

    def test_T6_links_are_followed(self) -> None:
        """
        A link to a file elsewhere is that file, and counts once however many there are.
        """
        directory = self.directory(a__pem=TWO.pem)
        for name in ("b.pem", "c.pem"):
            (directory / name).symlink_to(Path(self.file(ONE.pem)).absolute())
        self.assertEqual(read_roots([str(directory)]), [TWO.certificate, ONE.certificate])

    def test_T6_directories_inside(self) -> None:
        """
        A directory in it is not entered, whatever its name and also by a link.
        """
        directory = self.directory(a__pem=ONE.pem)
        (directory / "sub.pem").mkdir()
        (directory / "sub.pem" / "b.pem").write_bytes(TWO.pem)
        (directory / "link.pem").symlink_to("sub.pem")
        self.assertEqual(read_roots([str(directory)]), [ONE.certificate])

    def test_T6_files_without_certificates(self) -> None:
        """
        A file that holds no certificate does not matter beside one that does.
        """
        directory = self.directory(a__pem=b"", b__pem=ONE.key_pem, c__pem=ONE.pem, d__crt=b"hello")
        self.assertEqual(read_roots([str(directory)]), [ONE.certificate])

    def test_T6_broken_files(self) -> None:
        """
        A broken or a binary certificate, and a link to nowhere, are refused beside good ones.
        """
        der = ONE.certificate.public_bytes(Encoding.DER)
        told = [self.refused(self.directory(a__pem=ONE.pem, b__crt=bad)) for bad in (ONE.pem[:-30], der)]
        dangling = self.directory(a__pem=ONE.pem)
        (dangling / "b.crt").symlink_to("nowhere")
        told.append(self.refused(dangling))
        self.assertEqual(
            told,
            [
                "ca_files: PATH/b.crt, line 1: the CERTIFICATE that begins here has no END line",
                "ca_files: PATH/b.crt is a certificate in DER; it must be PEM (openssl x509)",
                "ca_files: PATH/b.crt cannot be read: No such file or directory",
            ],
        )

    def test_T6_empty(self) -> None:
        """
        A directory in which nothing is found is refused.
        """
        words = "ca_files: PATH is a directory without PEM certificates"
        found = [
            self.refused(self.directory()),
            self.refused(self.directory(a__pem=b"")),
            self.refused(self.directory(a=ONE.pem)),
        ]
        self.assertEqual(found, [words] * 3)

    def test_T6_too_many(self) -> None:
        """
        A directory of thousands is a mistake.
        """
        self.patch(roots, "MAX_FILES", 1)
        self.assertEqual(len(read_roots([str(self.directory(a__pem=ONE.pem))])), 1)
        many = self.refused(self.directory(a__pem=ONE.pem, b__pem=ONE.pem))
        self.assertEqual(many, "ca_files: PATH holds more than 1 files of certificates")


class DoubtsTests(TestCase):
    """
    L{doubts}.
    """

    def test_sound_roots(self) -> None:
        """
        There is nothing to say about a root, or about a server's own certificate that signed itself.
        """
        self.assertEqual(doubts([ONE.certificate, root("x", authority=False).certificate], NOW.timestamp()), [])

    def test_roots_of_no_use(self) -> None:
        """
        One that expired, that is not valid yet or that is no root is named.
        """
        expired = root("old", days=-3).certificate
        between = ONE.below("between").certificate
        told = doubts([expired, between], NOW.timestamp()) + doubts([ONE.certificate], NOW.timestamp() - 10 * 86400)
        begin, end = ONE.certificate.not_valid_before_utc, expired.not_valid_after_utc
        self.assertEqual(
            told,
            [
                f"'CN=old' expired on {end:%Y-%m-%d}",
                "'CN=between' is no root: it counts only where the root above it is trusted as well",
                f"'CN=one' is not valid before {begin:%Y-%m-%d}",
            ],
        )

    def test_many(self) -> None:
        """
        Of many only some are named.
        """
        told = doubts([ONE.below(f"n{number}").certificate for number in range(13)], NOW.timestamp())
        self.assertEqual((len(told), told[-1]), (11, "and 3 more"))


class MarksTests(FilesCase):
    """
    L{marks}.
    """

    def test_nothing_changed(self) -> None:
        """
        What did not change looks the same, what is missing or no path included.
        """
        paths = [self.file(ONE.pem), self.mktemp(), "\x00", str(self.directory(a__pem=ONE.pem))]
        self.assertEqual(marks(paths), marks(paths))

    def test_a_file_changes(self) -> None:
        """
        New content, a new file in its place, its loss and its permissions each make it look different.
        """
        path = Path(self.file(ONE.pem))
        seen = [marks([str(path)])]
        changes = (
            lambda: path.write_bytes(TWO.pem + b"\n"),
            lambda: Path(self.file(TWO.pem, b"\n")).replace(path),
            lambda: path.chmod(0o400),
            path.unlink,
        )
        for change in changes:
            change()
            seen.append(marks([str(path)]))
        self.assertEqual(len(set(seen)), 5)

    def test_the_same_size_and_time(self) -> None:
        """
        A file that was written anew and given its old time looks different all the same.
        """
        path = Path(self.file(ONE.pem))
        before, times = marks([str(path)]), path.stat()
        while path.stat().st_ctime_ns == times.st_ctime_ns:
            path.write_bytes(ONE.pem[::-1])
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertNotEqual(marks([str(path)]), before)

    def test_a_directory_changes(self) -> None:
        """
        A certificate that comes, changes or goes is noticed, and another file is not.
        """
        directory = self.directory(a__pem=ONE.pem)
        seen = [marks([str(directory)])]
        for name, content in (("b.pem", TWO.pem), ("b.pem", b""), ("notes.txt", b"x")):
            (directory / name).write_bytes(content)
            seen.append(marks([str(directory)]))
        (directory / "a.pem").unlink()
        seen.append(marks([str(directory)]))
        self.assertEqual([one == other for one, other in pairwise(seen)], [False, False, True, False])


class SystemRootsTests(TestCase):
    """
    Whether the system has roots at all.
    """

    def test_nowhere(self) -> None:
        """
        Places that do not exist, are empty, or are empty directories hold none.
        """
        empty, directory = Path(self.mktemp()), Path(self.mktemp())
        empty.touch()
        directory.mkdir()
        self.assertFalse(system_roots_exist([self.mktemp(), str(empty), str(directory)]))

    def test_somewhere(self) -> None:
        """
        One file with something in it is enough, and so is one directory.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "root.pem").write_bytes(b"x")
        found = [system_roots_exist([self.mktemp(), str(place)]) for place in (directory, directory / "root.pem")]
        self.assertEqual(found, [True, True])

    def test_the_environment_replaces_the_defaults(self) -> None:
        """
        OpenSSL's two variables, where either is set, are the places.
        """
        environments = [{"SSL_CERT_FILE": "f"}, {"SSL_CERT_DIR": "d"}, {"SSL_CERT_FILE": "f", "SSL_CERT_DIR": "d"}]
        self.assertEqual([_places(environ) for environ in environments], [["f"], ["d"], ["f", "d"]])

    def test_the_defaults(self) -> None:
        """
        Without them the usual places of Linux systems are among those that are looked at.
        """
        self.assertIn("/etc/ssl/certs", _places({}))
