#!/usr/bin/perl
# Compares regular files of two trees: where their data lies (SEEK_DATA, SEEK_HOLE) and the data itself, byte by byte.
#
#   compare-contents.pl ROOT ROOT <PATHS        paths relative to both roots, each ended by NUL, of any length
#
# Prints, for each difference, PATH NUL WHAT NUL. Holes are not read, so a file of a tebibyte takes no time.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :seek);
use IO::Handle;

my ($SEEK_DATA, $SEEK_HOLE) = (3, 4);
my $PIECE = 1 << 20;
my ($left_root, $right_root) = @ARGV;
chdir '/' or die "chdir: $!\n";
binmode STDOUT;

# Opens a file, walking there when its path is longer than the system takes.
sub open_file {
    my ($root, $path) = @_;
    my $flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    my $file;
    if (length($root) + length($path) < 4000) {
        sysopen($file, "$root/$path", $flags) or die "compare-contents.pl: cannot open $root/$path: $!\n";
        return $file;
    }
    my @parts = split m{/}, $path;
    my $name = pop @parts;
    for my $directory ($root, @parts) {
        chdir $directory or die "compare-contents.pl: cannot enter $directory: $!\n";
    }
    sysopen($file, $name, $flags) or die "compare-contents.pl: cannot open $name: $!\n";
    chdir '/';
    return $file;
}

# "start-end start-end ..." of everything that is not a hole.
sub data_extents {
    my ($file) = @_;
    my @extents;
    my $at = 0;
    while (defined(my $start = sysseek($file, $at, $SEEK_DATA))) {
        my $end = sysseek($file, $start, $SEEK_HOLE);
        push @extents, [0 + $start, 0 + $end];
        $at = $end;
    }
    return @extents;
}

# xfs counts space that it has set aside as data as long as its page cache holds it in one folio with data.
sub forget_pages {
    my ($file) = @_;
    $file->sync or die "compare-contents.pl: cannot sync: $!\n";
    my $opened = "/proc/$$/fd/" . fileno $file;
    system('dd', "if=$opened", 'iflag=nocache', 'count=0', 'status=none') == 0 or die "compare-contents.pl: dd failed\n";
}

sub in_words { return join ' ', map { "$_->[0]-$_->[1]" } @_ }

sub first_difference {
    my ($left, $right, $extents) = @_;
    for my $extent (@$extents) {
        my ($at, $end) = @$extent;
        sysseek($_, $at, SEEK_SET) for $left, $right;
        while ($at < $end) {
            my $wanted = $end - $at < $PIECE ? $end - $at : $PIECE;
            my $got = sysread($left, my $ours, $wanted);
            my $also = sysread($right, my $theirs, $wanted);
            die "compare-contents.pl: cannot read: $!\n" unless defined $got and defined $also;
            return $at if $ours ne $theirs;
            last if $got == 0;
            $at += $got;
        }
    }
    return undef;
}

sub report { print STDOUT $_[0], "\0", $_[1], "\0" }

local $/ = "\0";
while (defined(my $path = <STDIN>)) {
    chomp $path;
    my ($left, $right) = (open_file($left_root, $path), open_file($right_root, $path));
    my @left = data_extents($left);
    my @right = data_extents($right);
    if (in_words(@left) ne in_words(@right)) {
        forget_pages($_) for $left, $right;
        @left = data_extents($left);
        @right = data_extents($right);
    }
    if (in_words(@left) ne in_words(@right)) {
        report($path, sprintf 'data extents: %.300s | %.300s', in_words(@left), in_words(@right));
    }
    my $different = first_difference($left, $right, [@left, @right]);
    report($path, "content differs within a megabyte of byte $different") if defined $different;
}
