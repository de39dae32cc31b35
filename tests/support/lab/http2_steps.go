// SPDX-License-Identifier: GPL-3.0-or-later
// Go's own HTTP/2 on either side of the gateway, reading bodies in steps of 4,096 bytes, for each of which it gives window
// back: as gzip.NewReader, bufio.NewReader and mime/multipart do.
//
//	serve ADDRESS CERTIFICATE KEY   prints "ready"; POST answers with the number of bytes read, GET /N sends N bytes
//	get URL                         prints protocol, status and the number of bytes read
//	put URL N                       sends N bytes, prints protocol, status and what the server answered
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

type zeros struct{}

func (zeros) Read(into []byte) (int, error) { return len(into), nil }

func read(body io.Reader) (int64, error) {
	var total int64
	reader, step := bufio.NewReaderSize(body, 4096), make([]byte, 4096)
	for {
		count, err := reader.Read(step)
		total += int64(count)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	check(err)
	return value
}

func answer(writer http.ResponseWriter, request *http.Request) {
	if request.Method == "POST" {
		total, err := read(request.Body)
		fmt.Fprint(writer, total, " ", err)
		return
	}
	io.CopyN(writer, zeros{}, number(strings.TrimPrefix(request.URL.Path, "/")))
}

func show(response *http.Response, err error) {
	check(err)
	if response.Request.Method == "POST" {
		said, err := io.ReadAll(response.Body)
		check(err)
		fmt.Println(response.Proto, response.StatusCode, string(said))
		return
	}
	total, err := read(response.Body)
	fmt.Println(response.Proto, response.StatusCode, total, err)
}

func main() {
	switch os.Args[1] {
	case "serve":
		listener, err := net.Listen("tcp", os.Args[2])
		check(err)
		fmt.Println("ready")
		check(http.ServeTLS(listener, http.HandlerFunc(answer), os.Args[3], os.Args[4]))
	case "get":
		show(http.Get(os.Args[2]))
	case "put":
		body := io.LimitReader(zeros{}, number(os.Args[3]))
		show(http.Post(os.Args[2], "application/octet-stream", body))
	}
}
