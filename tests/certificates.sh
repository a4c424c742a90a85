#!/bin/sh
# Makes the certificates of the TLS tests, good ones and one for each way of being bad: certificates.sh DIRECTORY.
# NAME.pem is a chain as a server sends it, NAME.key its key; root.pem is whom to trust, and *.crl are lists of what was
# revoked. Everything but what has to have expired is valid for a century. The openssl command is all that is needed.
set -eu
mkdir -p "$1"
cd "$1"
rm -f ./*.pem ./*.key ./*.crl ./*.csr ./*.log ./*.txt* ./*.ext ./*.cnf ./*.der ./*.one

complain() {
    cat openssl.log >&2
    exit 1
}
quietly() { "$@" >openssl.log 2>&1 || complain; }

key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

# authority NAME: what `openssl ca` needs to issue in its name.
authority() {
    : >"$1.index.txt"
    echo 'unique_subject = no' >"$1.index.txt.attr"
    cat >"$1.cnf" <<END
[ca]
default_ca = this
[this]
certificate = $1.one
private_key = $1.key
database = $1.index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
default_crl_days = 36500
[any]
commonName = supplied
END
}

# sign NAME ISSUER EXTENSIONS [ARGUMENT ...]: a certificate for NAME.key, alone in NAME.one.
sign() {
    name=$1 issuer=$2 own=
    [ "$name" != "$issuer" ] || own=-selfsign
    printf '%b\n' "$3" >"$name.ext"
    shift 3
    quietly openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
    quietly openssl ca -batch -notext -config "$issuer.cnf" $own -in "$name.csr" -extfile "$name.ext" \
        -out "$name.one" -startdate 20200101000000Z -enddate 21250101000000Z "$@"
}

# chained NAME ISSUER EXTENSIONS [ARGUMENT ...]: signs a leaf, and puts what is between it and a root behind it.
chained() {
    leaf=$1 issuer=$2 extensions=$3
    shift 3
    sign "$leaf" "$issuer" "basicConstraints = CA:false\n$extensions" "$@"
    case $issuer in
    root | stranger | old_root | "$leaf") cat "$leaf.one" >"$leaf.pem" ;;
    *) cat "$leaf.one" "$issuer.one" >"$leaf.pem" ;;
    esac
}

leaf() {
    key "$1"
    chained "$@"
}

# between NAME ISSUER EXTENSIONS [ARGUMENT ...]: an authority below another.
between() {
    key "$1"
    authority "$1"
    sign "$@"
}

serving='extendedKeyUsage = serverAuth'
ca='basicConstraints = critical,CA:true\nkeyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash'
here='subjectAltName = DNS:example.org,DNS:localhost,IP:127.0.0.1,IP:::1'
for name in root stranger; do
    between "$name" "$name" "$ca"
    cp "$name.one" "$name.pem"
done
between old_root old_root "$ca" -enddate 20210101000000Z
cp old_root.one old_root.pem
between intermediate root "$ca"
between old root "$ca" -enddate 20210101000000Z
between revoked_ca root "$ca"
between no_authority root 'basicConstraints = critical,CA:true\nkeyUsage = critical,digitalSignature'
between limited root "$ca\nnameConstraints = critical,permitted;DNS:example.org"
between shallow root "basicConstraints = critical,CA:true,pathlen:0\nkeyUsage = critical,keyCertSign"
between below_shallow shallow "$ca"

leaf good intermediate "$serving\n$here"
leaf direct root "$serving\n$here"
leaf expired intermediate "$serving\n$here" -enddate 20210101000000Z
leaf early intermediate "$serving\n$here" -startdate 21200101000000Z -enddate 21250101000000Z
leaf other intermediate "$serving\nsubjectAltName = DNS:other.example,DNS:www.other.example"
leaf dns_address intermediate "$serving\nsubjectAltName = DNS:127.0.0.1"
leaf wildcard intermediate "$serving\nsubjectAltName = DNS:*.example.org"
leaf partial intermediate "$serving\nsubjectAltName = DNS:w*.example.org"
leaf wide intermediate "$serving\nsubjectAltName = DNS:*.org"
leaf nothing intermediate "$serving"
leaf unknown stranger "$serving\n$here"
leaf by_old old "$serving\n$here"
leaf by_old_root old_root "$serving\n$here"
leaf by_revoked revoked_ca "$serving\n$here"
leaf revoked intermediate "$serving\n$here"
leaf by_no_authority no_authority "$serving\n$here"
leaf outside limited "$serving\nsubjectAltName = DNS:other.example"
leaf inside limited "$serving\nsubjectAltName = DNS:example.org"
leaf too_deep below_shallow "$serving\n$here"
cat too_deep.one below_shallow.one shallow.one >too_deep.pem
leaf client_only intermediate "extendedKeyUsage = clientAuth\n$here"
leaf critical intermediate "$serving\n$here\n1.2.3.4.5 = critical,ASN1:UTF8String:what"
leaf client intermediate 'extendedKeyUsage = clientAuth'
leaf client_unknown stranger 'extendedKeyUsage = clientAuth'
leaf client_expired intermediate 'extendedKeyUsage = clientAuth' -enddate 20210101000000Z
cp good.key without.key
cat good.one >without.pem # the one between is missing
authority below_leaf
cp good.key below_leaf.key
cp good.one below_leaf.one
leaf by_leaf below_leaf "$serving\n$here"
cat by_leaf.one good.one intermediate.one >by_leaf.pem

# A name with a NUL in it: example.org\0.evil.test, in DER.
nul=$(printf 'example.org\000.evil.test' | od -An -v -tx1 | tr -d ' \n')
leaf with_nul intermediate "$serving\nsubjectAltName = DER:3018:8216:$nul"

key self
authority self
chained self self "$serving\n$here"

quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.key
chained weak intermediate "$serving\n$here"
quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
chained rsa intermediate "$serving\n$here"
leaf sha1 intermediate "$serving\n$here" -md sha1

# A signature with another last byte.
cp good.key forged.key
openssl x509 -in good.one -outform DER -out forged.der
size=$(wc -c <forged.der)
last=$(tail -c 1 forged.der | od -An -tu1 | tr -d ' ')
{
    head -c $((size - 1)) forged.der
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %03o $(((last + 1) % 256)))"
} >forged.new.der
openssl x509 -inform DER -in forged.new.der -out forged.one
cat forged.one intermediate.one >forged.pem

for pair in 'intermediate revoked' 'root revoked_ca'; do
    quietly openssl ca -config "${pair% *}.cnf" -revoke "${pair#* }.one"
    quietly openssl ca -config "${pair% *}.cnf" -gencrl -out "${pair% *}.crl"
done
cat intermediate.crl root.crl >all.crl
quietly openssl ca -config intermediate.cnf -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20210101000000Z \
    -out stale.crl
quietly openssl ec -in good.key -aes256 -passout pass:sesame -out locked.key
openssl x509 -in self.one -noout -fingerprint -sha256 | sed 's/.*=//' >self.fingerprint
rm -f ./*.csr ./*.ext ./*.log ./*.der ./[0-9A-F]*.pem
: >made
