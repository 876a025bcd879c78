#!/usr/bin/perl
# Makes the entries of a test volume, or changes them: everything that Node cannot do. Names are bytes, paths may be
# longer than PATH_MAX (it walks them with chdir), times have nanoseconds and may be negative.
#
#   apply-entries.pl ROOT [lenient] <FRAMES
#
# A frame is a u32 LE number of fields, then each field as u32 LE length and bytes. The first field is the operation,
# the second the path beneath ROOT. With "lenient" what the system refuses is counted by operation and reported.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :mode :seek);

my %NUMBERS = (
    x86_64  => { mknodat => 259, fchownat => 260, linkat => 265, utimensat => 280, lsetxattr => 189, lremovexattr => 198 },
    aarch64 => { mknodat => 33, fchownat => 54, linkat => 37, utimensat => 88, lsetxattr => 6, lremovexattr => 15 },
);
my $AT_FDCWD = -100;
my $AT_SYMLINK_NOFOLLOW = 0x100;

my ($root, $lenient) = @ARGV;
my $machine = (POSIX_uname())[4];
my $call = $NUMBERS{$machine} or die "apply-entries.pl: no system call numbers for $machine\n";
sysopen(my $top, $root, O_RDONLY | O_DIRECTORY) or die "apply-entries.pl: $root: $!\n";
my $at = undef;    # the directory we are in, relative to the root
my %refused;
umask 0;

sub POSIX_uname { require POSIX; return POSIX::uname() }

# Goes to the directory that holds a path; returns the path's last component.
sub enter {
    my ($path) = @_;
    return '.' if $path eq '' and go('');
    my ($parent, $name) = $path =~ m{^(?:(.*)/)?([^/]+)$}s or die "apply-entries.pl: bad path\n";
    go($parent // '');
    return $name;
}

sub go {
    my ($to) = @_;
    return 1 if defined $at and $at eq $to;
    chdir $top or die "apply-entries.pl: chdir to the root: $!\n";
    for my $part (split m{/}, $to) {
        chdir $part or die "chdir: $!\n";
    }
    $at = $to;
    return 1;
}

sub system_call {
    my ($name, @arguments) = @_;
    return syscall($call->{$name}, @arguments) == 0;
}

sub write_file {
    my ($name, $size, @extents) = @_;
    sysopen(my $out, $name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600) or return 0;
    truncate($out, $size) or return 0;
    while (my ($offset, $data) = splice @extents, 0, 2) {
        sysseek($out, $offset, SEEK_SET) or return 0;
        my $done = 0;
        while ($done < length $data) {
            my $n = syswrite($out, $data, length($data) - $done, $done) or return 0;
            $done += $n;
        }
    }
    return close $out;
}

sub make_node {
    my ($name, $kind, $major, $minor) = @_;
    my %types = (fifo => S_IFIFO, socket => S_IFSOCK, char => S_IFCHR, block => S_IFBLK);
    my $number = ($minor & 0xff) | (($major & 0xfff) << 8) | (($minor & ~0xff) << 12);
    return system_call('mknodat', $AT_FDCWD, $name, $types{$kind} | 0600, $number);
}

sub make_link {
    my ($path, $to) = @_;
    my $from = enter($to);
    sysopen(my $holder, '.', O_RDONLY | O_DIRECTORY) or return 0;
    my $name = enter($path);
    return system_call('linkat', fileno($holder), $from, $AT_FDCWD, $name, 0);
}

sub set_times {
    my ($name, $seconds, $nanoseconds) = @_;
    my $times = pack 'q<q<q<q<', $seconds, $nanoseconds, $seconds, $nanoseconds;
    return system_call('utimensat', $AT_FDCWD, $name, $times, $AT_SYMLINK_NOFOLLOW);
}

sub set_xattr {
    my ($name, $key, $value) = @_;
    return system_call('lsetxattr', $name, $key, $value, length $value, 0);
}

my %operations = (
    mkdir  => sub { my $n = enter($_[0]); return $_[0] eq '' || mkdir($n, 0700) || -d $n },
    file   => sub { my $n = enter(shift); return write_file($n, map { $_ } @_) },
    symlink => sub { my $n = enter($_[0]); return symlink($_[1], $n) },
    node   => sub { my $n = enter($_[0]); return make_node($n, $_[1], 0 + ($_[2] // 0), 0 + ($_[3] // 0)) },
    link   => sub { return make_link(@_) },
    chown  => sub { my $n = enter($_[0]); return system_call('fchownat', $AT_FDCWD, $n, 0 + $_[1], 0 + $_[2], $AT_SYMLINK_NOFOLLOW) },
    chmod  => sub { my $n = enter($_[0]); return chmod(0 + $_[1], $n) },
    setxattr => sub { my $n = enter($_[0]); return set_xattr($n, $_[1], $_[2]) },
    delxattr => sub { my $n = enter($_[0]); return system_call('lremovexattr', $n, $_[1]) },
    mtime  => sub { my $n = enter($_[0]); return set_times($n, 0 + $_[1], 0 + $_[2]) },
    unlink => sub { my $n = enter($_[0]); return unlink($n) || rmdir($n) },
    rename => sub { my $n = enter($_[0]); return rename($n, $_[1]) },
);

binmode STDIN;

sub take {
    my ($length) = @_;
    my $bytes = '';
    while (length $bytes < $length) {
        my $n = read(STDIN, $bytes, $length - length $bytes, length $bytes);
        return undef unless $n;
    }
    return $bytes;
}

while (defined(my $head = take(4))) {
    my @fields = map { my $length = unpack 'V', take(4); $length == 0 ? '' : take($length) } 1 .. unpack 'V', $head;
    my $operation = shift @fields;
    my $code = $operations{$operation} or die "apply-entries.pl: no operation $operation\n";
    my $done = eval { $code->(@fields) };
    next if $done;
    my $reason = $@ || "$!";
    chomp $reason;
    $at = undef;
    die "apply-entries.pl: $operation $fields[0]: $reason\n" unless $lenient;
    $refused{"$operation: $reason"}++;
}
print STDERR "left out: $_ ($refused{$_})\n" for sort keys %refused;
