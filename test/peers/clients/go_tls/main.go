// A tunnel (HTTP/2 CONNECT over TLS 1.3) by Go's own crypto/tls and net/http, with chosen groups of the key exchange. One
// JSON line per event. CHAIN and KEY are files, PEM; GROUPS are names joined by commas.
//
//	go_tls dial ADDRESS AUTHORITY GROUPS CHAIN KEY     one line through a tunnel, and what came back
//	go_tls serve ADDRESS GROUPS CHAIN KEY              a tunnel's other end, whose streams echo
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

var groups = map[string]tls.CurveID{
	"X25519MLKEM768": tls.X25519MLKEM768,
	"X25519":         tls.X25519,
	"P-256":          tls.CurveP256,
	"P-384":          tls.CurveP384,
}

func show(event map[string]any) {
	line, _ := json.Marshal(event)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		show(map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}

// settings: who is at the other end is not looked at, only that it has a certificate.
func settings(names, chain, key string) *tls.Config {
	pair, err := tls.LoadX509KeyPair(chain, key)
	check(err)
	config := &tls.Config{
		Certificates:       []tls.Certificate{pair},
		InsecureSkipVerify: true,
		ClientAuth:         tls.RequireAnyClientCert,
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"h2"},
	}
	for _, name := range strings.Split(names, ",") {
		config.CurvePreferences = append(config.CurvePreferences, groups[name])
	}
	return config
}

func dial(address, authority string, config *tls.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
		},
	}
	body, input := io.Pipe()
	request := (&http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Scheme: "https", Host: authority},
		Host:   authority,
		Header: http.Header{},
		Body:   body,
	}).WithContext(ctx)
	answer, err := transport.RoundTrip(request)
	check(err)
	_, err = io.WriteString(input, "hello\n")
	check(err)
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	check(err)
	show(map[string]any{"group": answer.TLS.CurveID.String(), "status": answer.StatusCode, "answer": line})
	input.Close()
}

type flushed struct{ http.ResponseWriter }

func (w flushed) Write(bytes []byte) (int, error) {
	n, err := w.ResponseWriter.Write(bytes)
	w.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

func echo(w http.ResponseWriter, r *http.Request) {
	show(map[string]any{"group": r.TLS.CurveID.String(), "authority": r.Host})
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	io.Copy(flushed{w}, r.Body)
}

func serve(address string, config *tls.Config) {
	listener, err := tls.Listen("tcp", address, config)
	check(err)
	show(map[string]any{"listening": address})
	server := &http.Server{Handler: http.HandlerFunc(echo), ErrorLog: log.New(os.Stderr, "", 0)}
	check(server.Serve(listener))
}

func main() {
	switch {
	case len(os.Args) == 7 && os.Args[1] == "dial":
		dial(os.Args[2], os.Args[3], settings(os.Args[4], os.Args[5], os.Args[6]))
	case len(os.Args) == 6 && os.Args[1] == "serve":
		serve(os.Args[2], settings(os.Args[3], os.Args[4], os.Args[5]))
	default:
		check(fmt.Errorf("see the head of the file"))
	}
}
