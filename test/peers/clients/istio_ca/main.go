// Command istio_ca serves Istio's own certificate authority, as istiod does, without the rest of istiod: its
// self-signed CA, its gRPC service, and its check of service account tokens. What the tokens' cluster answers to a
// TokenReview is here: a token is good when its third part is "good" and one of its audiences is asked for.
package main

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/pki/ca"
	server "istio.io/istio/security/pkg/server/ca"
	"istio.io/istio/security/pkg/server/ca/authenticate/kubeauth"
	authentication "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/testing"
)

type fixedMesh struct{ config *meshconfig.MeshConfig }

func (mesh fixedMesh) Mesh() *meshconfig.MeshConfig { return mesh.config }

type claims struct {
	Subject  string   `json:"sub"`
	Audience []string `json:"aud"`
}

func review(spec authentication.TokenReviewSpec) authentication.TokenReviewStatus {
	parts := strings.Split(spec.Token, ".")
	var token claims
	if len(parts) != 3 || parts[2] != "good" {
		return authentication.TokenReviewStatus{Error: "invalid bearer token"}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &token) != nil {
		return authentication.TokenReviewStatus{Error: "invalid bearer token"}
	}
	for _, audience := range spec.Audiences {
		if slices.Contains(token.Audience, audience) {
			return authentication.TokenReviewStatus{
				Authenticated: true,
				Audiences:     []string{audience},
				User:          authentication.UserInfo{Username: token.Subject, Groups: []string{"system:serviceaccounts"}},
			}
		}
	}
	return authentication.TokenReviewStatus{Error: "token audiences are invalid"}
}

func clusterOfTokens() *fake.Clientset {
	client := fake.NewSimpleClientset()
	client.PrependReactor("create", "tokenreviews", func(action testing.Action) (bool, runtime.Object, error) {
		asked := action.(testing.CreateAction).GetObject().(*authentication.TokenReview)
		asked.Status = review(asked.Spec)
		return true, asked, nil
	})
	return client
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:15012", "where to serve")
	name := flag.String("name", "istiod.istio-system.svc", "of the server's certificate")
	domain := flag.String("trust-domain", "cluster.local", "of the identities")
	roots := flag.String("roots", "", "file to write the root certificate to, as istio-ca-root-cert has it")
	flag.Parse()

	options, err := ca.NewSelfSignedDebugIstioCAOptions("", 24*time.Hour, time.Hour, time.Hour, *domain, 2048)
	fatal(err)
	authority, err := ca.NewIstioCA(options)
	fatal(err)
	fatal(os.WriteFile(*roots, authority.GetCAKeyCertBundle().GetRootCertPem(), 0o644))
	certificate, key, err := authority.GenKeyCert([]string{*name}, time.Hour, false)
	fatal(err)
	pair, err := tls.X509KeyPair(certificate, key)
	fatal(err)

	mesh := fixedMesh{&meshconfig.MeshConfig{TrustDomain: *domain}}
	tokens := kubeauth.NewKubeJWTAuthenticator(mesh, clusterOfTokens(), cluster.ID("Kubernetes"), nil, nil)
	service, err := server.New(authority, time.Hour, []security.Authenticator{tokens}, nil)
	fatal(err)
	listener, err := net.Listen("tcp", *listen)
	fatal(err)
	rpc := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	service.Register(rpc)
	fmt.Println("serving")
	fatal(rpc.Serve(listener))
}
