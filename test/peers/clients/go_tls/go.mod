module handfast.test/tls

go 1.25
