"""Serves every repository below a folder with dulwich, on a port of this machine that it prints first."""

import os
import socketserver
import sys
from wsgiref.simple_server import WSGIServer, make_server

from dulwich.server import FileSystemBackend
from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A copy reads from one repository while it writes to another."""

    daemon_threads = True


class Backend(FileSystemBackend):
    """What HTTP calls /s.git is s.git below the folder."""

    def open_repository(self, path):
        return super().open_repository(os.fsdecode(path).lstrip("/"))


def main():
    app = make_wsgi_chain(Backend(sys.argv[1]))
    server = make_server("127.0.0.1", 0, app, Server, WSGIRequestHandlerLogger)
    print(server.server_port, flush=True)
    server.serve_forever()


main()
