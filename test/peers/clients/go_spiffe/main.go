// go-spiffe against a sidecar's Workload API. One JSON line per event, for five minutes at most.
//
//	go_spiffe watch SOCKET              each X.509 context: identities, serials, trust domains
//	go_spiffe serve SOCKET ADDRESS      echoes over mutual TLS; the peers' identities
//	go_spiffe dial SOCKET ADDRESS ID    one line to a server of that identity, and what came back
//	go_spiffe jwt SOCKET AUDIENCE       a JWT-SVID, validated here by the bundles and there by the API
//	go_spiffe bundle TRUST-DOMAIN URL ENDPOINT-ID FILE                the bundle of that endpoint; FILE: its first one
//	go_spiffe bundle-serve TRUST-DOMAIN ADDRESS CHAIN KEY FILE        FILE at a bundle endpoint (https_spiffe)
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type event map[string]any

func show(e event) {
	line, _ := json.Marshal(e)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		show(event{"error": err.Error()})
		os.Exit(1)
	}
}

type watcher struct{}

func (watcher) OnX509ContextUpdate(c *workloadapi.X509Context) {
	domains := map[string]int{}
	for _, bundle := range c.Bundles.Bundles() {
		domains[bundle.TrustDomain().String()] = len(bundle.X509Authorities())
	}
	svid := c.DefaultSVID()
	show(event{"id": svid.ID.String(), "serial": fmt.Sprintf("%x", svid.Certificates[0].SerialNumber),
		"chain": len(svid.Certificates), "domains": domains})
}

func (watcher) OnX509ContextWatchError(err error) { show(event{"watch_error": err.Error()}) }

func serve(ctx context.Context, socket workloadapi.ClientOption, address string) {
	listener, err := spiffetls.ListenWithMode(ctx, "tcp", address, spiffetls.MTLSServerWithSourceOptions(
		tlsconfig.AuthorizeAny(), workloadapi.WithClientOptions(socket)))
	check(err)
	show(event{"listening": listener.Addr().String()})
	for {
		conn, err := listener.Accept()
		check(err)
		go func() {
			defer conn.Close()
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				show(event{"refused": err.Error()})
				return
			}
			id, err := spiffetls.PeerIDFromConn(conn)
			check(err)
			show(event{"peer": id.String()})
			io.WriteString(conn, line)
		}()
	}
}

func dial(ctx context.Context, socket workloadapi.ClientOption, address, id string) {
	var conn net.Conn
	conn, err := spiffetls.DialWithMode(ctx, "tcp", address, spiffetls.MTLSClientWithSourceOptions(
		tlsconfig.AuthorizeID(spiffeid.RequireFromString(id)), workloadapi.WithClientOptions(socket)))
	check(err)
	defer conn.Close()
	_, err = io.WriteString(conn, "hello\n")
	check(err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	check(err)
	show(event{"answer": line})
}

func jwt(ctx context.Context, socket workloadapi.ClientOption, audience string) {
	source, err := workloadapi.NewJWTSource(ctx, workloadapi.WithClientOptions(socket))
	check(err)
	svid, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	check(err)
	here, err := jwtsvid.ParseAndValidate(svid.Marshal(), source, []string{audience})
	check(err)
	there, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), audience, socket)
	check(err)
	show(event{"id": svid.ID.String(), "here": here.ID.String(), "there": there.ID.String(),
		"seconds": int(time.Until(svid.Expiry).Seconds())})
	_, err = workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "another", socket)
	show(event{"another_audience": fmt.Sprint(err)})
}

func fetchBundle(ctx context.Context, domain, url, endpoint, file string) {
	td := spiffeid.RequireTrustDomainFromString(domain)
	first, err := spiffebundle.Load(td, file)
	check(err)
	bundle, err := federation.FetchBundle(ctx, td, url, federation.WithSPIFFEAuth(first, spiffeid.RequireFromString(endpoint)))
	check(err)
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	show(event{"roots": len(bundle.X509Authorities()), "sequence": sequence, "hint": hint.Seconds()})
}

func serveBundle(domain, address, chain, key, file string) {
	td := spiffeid.RequireTrustDomainFromString(domain)
	svid, err := x509svid.Load(chain, key)
	check(err)
	bundle, err := spiffebundle.Load(td, file)
	check(err)
	handler, err := federation.NewHandler(td, bundle)
	check(err)
	listener, err := tls.Listen("tcp", address, tlsconfig.TLSServerConfig(svid))
	check(err)
	show(event{"listening": listener.Addr().String()})
	check(http.Serve(listener, handler))
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	switch os.Args[1] {
	case "bundle":
		fetchBundle(ctx, os.Args[2], os.Args[3], os.Args[4], os.Args[5])
		return
	case "bundle-serve":
		serveBundle(os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6])
		return
	}
	socket := workloadapi.WithAddr("unix://" + os.Args[2])
	switch os.Args[1] {
	case "watch":
		check(workloadapi.WatchX509Context(ctx, watcher{}, socket))
	case "serve":
		serve(ctx, socket, os.Args[3])
	case "dial":
		dial(ctx, socket, os.Args[3], os.Args[4])
	case "jwt":
		jwt(ctx, socket, os.Args[3])
	}
}
