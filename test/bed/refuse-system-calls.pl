#!/usr/bin/perl
# Runs a command for which the kernel refuses system calls, as the seccomp filter of a container runtime does that is
# older than they are.
#
#   refuse-system-calls.pl ERRNO NUMBER[,NUMBER...] COMMAND [ARGUMENT...]
#
# Numbers as in asm/unistd.h of this machine; those from 424 on are the same on all of them.
use strict;
use warnings;

my %PRCTL = (x86_64 => 157, aarch64 => 167);
my ($SET_NO_NEW_PRIVS, $SET_SECCOMP, $FILTER) = (38, 22, 2);    # linux/prctl.h, linux/seccomp.h
my ($LOAD, $JUMP_IF_EQUAL, $RETURN) = (0x20, 0x15, 0x06);       # linux/bpf_common.h
my ($ALLOW, $ERRNO) = (0x7fff0000, 0x00050000);                 # linux/seccomp.h

my ($errno, $list, @command) = @ARGV;
my @numbers = split /,/, $list;
my $machine = qx(uname -m);
chomp $machine;
my $prctl = $PRCTL{$machine} or die "unknown machine $machine\n";

# The number of the call is the first word of struct seccomp_data; a match jumps over the rest and over ALLOW.
my @program = ([$LOAD, 0, 0, 0]);
push @program, map { [$JUMP_IF_EQUAL, @numbers - $_, 0, $numbers[$_]] } 0 .. $#numbers;
push @program, [$RETURN, 0, 0, $ALLOW], [$RETURN, 0, 0, $ERRNO | $errno];
my $filter = join '', map { pack 'SCCL', @$_ } @program;
my $sock_fprog = pack 'S x6 P', scalar @program, $filter;

syscall($prctl, $SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 or die "no new privileges: $!\n";
syscall($prctl, $SET_SECCOMP, $FILTER, $sock_fprog, 0, 0) == 0 or die "seccomp: $!\n";
exec @command or die "$command[0]: $!\n";
