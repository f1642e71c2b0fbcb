# peer.pl receive SOCKET COUNT | send SOCKET COUNT | echo SOCKET | ask SOCKET COUNT OWN: Perl's IO::Socket::UNIX, with its
# send and recv, and select() before each recv of an answer. The messages are those of messages.py; the last one is END.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM pack_sockaddr_un unpack_sockaddr_un);

use constant END_TEXT => 'this was the last one';
use constant ROOM => 16_384;
my @sizes = (0, 1, 2, 3, 64, 100, 511, 1024, 1500, 4096, 4097, 8191, 8192);
my $run = join('', map { chr } 0 .. 255) x 40;

sub message {
    my ($number) = @_;
    my $body = substr($run, $number & 255, $sizes[$number % @sizes]);
    substr($body, 1, 4) = pack('V', $number) if length($body) >= 5;
    return $body;
}

sub get {
    my ($socket) = @_;
    my $source = $socket->recv(my $data, ROOM);
    defined $source or die "recv: $!\n";
    return ($data, $source);
}

sub expect {
    my ($data, $wanted, $what) = @_;
    $data eq $wanted or die "$what: ", length($data), ' bytes came, not the ', length($wanted), " that were due\n";
    return;
}

sub expect_nothing_more {
    my ($socket) = @_;
    IO::Select->new($socket)->can_read(0.05) and die "something came after the last message\n";
    return;
}

sub receive {
    my ($path, $count) = @_;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "bind: $!\n";
    expect((get($socket))[0], message($_), "message $_") for 0 .. $count - 1;
    expect((get($socket))[0], END_TEXT, 'the last message');
    expect_nothing_more($socket);
    return;
}

sub send_all {
    my ($path, $count) = @_;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $path) or die "connect: $!\n";
    for my $body ((map { message($_) } 0 .. $count - 1), END_TEXT) {
        my $sent = $socket->send($body);
        defined $sent && $sent == length $body or die "send: $!\n";
    }
    return;
}

sub echo {
    my ($path) = @_;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "bind: $!\n";
    while (1) {
        my ($data, $source) = get($socket);
        defined $socket->send($data, 0, $source) or die "send: $!\n";
        last if $data eq END_TEXT;
    }
    return;
}

sub ask {
    my ($path, $count, $own) = @_;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $own) or die "bind: $!\n";
    my $server = pack_sockaddr_un($path);
    my $select = IO::Select->new($socket);
    for my $body ((map { message($_) } 0 .. $count - 1), END_TEXT) {
        defined $socket->send($body, 0, $server) or die "send: $!\n";
        $select->can_read(20) or die "no answer in 20 s\n";
        my ($data, $source) = get($socket);
        expect($data, $body, 'the answer');
        unpack_sockaddr_un($source) eq $path or die "an answer from elsewhere\n";
    }
    expect_nothing_more($socket);
    return;
}

my ($role, @arguments) = @ARGV;
my %roles = (receive => \&receive, send => \&send_all, echo => \&echo, ask => \&ask);
$roles{$role}->(@arguments);
