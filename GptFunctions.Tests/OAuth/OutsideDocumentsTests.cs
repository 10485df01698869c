using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 45: what strangers make us ask, and what not.</summary>
public sealed class OutsideDocumentsTests : IAsyncLifetime
{
    private const string Path = "/client.json";
    private readonly TestClock clock = new();
    private DocumentHost host = null!;

    public async Task InitializeAsync() => host = await DocumentHost.StartAsync();

    public async Task DisposeAsync() => await host.DisposeAsync();

    /// <summary>IANA's special-purpose registries, IPv4 inside of IPv6, and the metadata services of clouds.</summary>
    private static readonly string[] Inside =
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.1.2.3", "169.254.0.1",
        "169.254.169.254", "169.254.169.253", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
        "192.88.99.1", "192.168.0.1",
        "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:93.184.216.34",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
        "2002:5db8:d822::1", "3fff::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
        "4000::1", "8000::1",
    ];

    private static readonly string[] Outside =
    [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255",
        "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17",
        "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00:1450::1",
    ];

    [Fact]
    public async Task Address_inside_is_never_connected_to_whether_named_or_resolved()
    {
        Assert.Equal((60, 23), (Inside.Length, Outside.Length));
        Assert.All(Inside, address => Assert.False(PublicAddresses.IsPublic(IPAddress.Parse(address)), address));
        Assert.All(Outside, address => Assert.True(PublicAddresses.IsPublic(IPAddress.Parse(address)), address));
        foreach (var address in Inside.Select(IPAddress.Parse))
        {
            var (documents, connected) = Faked((_, _) => [IPAddress.Parse("93.184.216.34"), address]); // one that is good does not help
            var literal = address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
            var resolved = await documents.GetAsync("https://client.example/a.json", OutsideDocuments.OfClient);
            var named = await documents.GetAsync($"https://{literal}/a.json", OutsideDocuments.OfClient);
            Assert.Equal(
                (null, null, "is not on the public internet", "is not on the public internet"), (resolved.Text, named.Text, resolved.Problem, named.Problem));
            Assert.Empty(connected);
            documents.Dispose();
        }
    }

    /// <summary>The name says something else the second time: there is no second time.</summary>
    [Fact]
    public async Task Address_that_was_checked_is_the_one_that_is_connected_to()
    {
        var (documents, connected) = Faked((_, time) => [IPAddress.Parse(time == 1 ? "93.184.216.34" : "127.0.0.1")]);
        var outcome = await documents.GetAsync("https://rebinding.example/a.json", OutsideDocuments.OfClient);

        Assert.Equal("93.184.216.34:443", Assert.Single(connected));
        Assert.True(outcome.IsTransient);
        clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal("is not on the public internet", (await documents.GetAsync("https://rebinding.example/a.json", OutsideDocuments.OfClient)).Problem);
        Assert.Single(connected);
        documents.Dispose();
    }

    [Fact]
    public async Task Other_address_of_the_name_is_tried_when_the_first_is_not_there()
    {
        var (documents, connected) = Faked((_, _) => [IPAddress.Parse("2606:4700::1"), IPAddress.Parse("93.184.216.34")]);

        await documents.GetAsync("https://client.example:8443/a.json", OutsideDocuments.OfClient);

        Assert.Equal(["[2606:4700::1]:8443", "93.184.216.34:8443"], connected);
        documents.Dispose();
    }

    [Theory]
    [InlineData("https://client.example/a.json", true)]
    [InlineData("https://client.example:8443/a/b?c=d", true)]
    [InlineData("https://client.example/", false)]
    [InlineData("https://client.example", false)]
    [InlineData("https://CLIENT.example/a", false)]
    [InlineData("HTTPS://client.example/a", false)]
    [InlineData("https://client.example:443/a", false)]
    [InlineData("https://client.example/a/../b", false)]
    [InlineData("https://client.example/a/./b", false)]
    [InlineData("https://client.example/a/%2e%2e/b", false)]
    [InlineData("https://client.example/a#b", false)]
    [InlineData("https://client.example/a#", false)]
    [InlineData("https://user@client.example/a", false)]
    [InlineData("https://@client.example/a", false)]
    [InlineData("https://client.example\\a", false)]
    [InlineData(" https://client.example/a", false)]
    [InlineData("http://client.example/a", false)]
    [InlineData("http://127.0.0.1/a", false)]
    [InlineData("ftp://client.example/a", false)]
    [InlineData("file:///etc/passwd", false)]
    [InlineData("//client.example/a", false)]
    public void Url_of_a_document_is_https_with_a_path_and_written_in_one_way(string written, bool expected)
    {
        using var documents = Documents(allowsLoopback: false);
        Assert.Equal(expected, documents.MayBeAt(written));
        Assert.False(documents.MayBeAt("https://client.example/" + new string('a', 512)));
        Assert.True(documents.MayBeAt("https://client.example/" + new string('a', 512 - 23)));
    }

    /// <summary>Only what the setting says, and only this machine.</summary>
    [Fact]
    public async Task Loopback_counts_with_the_setting_alone()
    {
        host.Publish((Path, "{}"));
        using var open = Documents();
        using var closed = Documents(allowsLoopback: false);

        Assert.True(open.MayBeAt(host.Url + Path));
        Assert.False(open.MayBeAt("http://client.example" + Path));
        Assert.False(closed.MayBeAt(host.Url + Path));
        Assert.Equal("{}", (await open.GetAsync(host.Url + Path, OutsideDocuments.OfClient)).Text);
        Assert.Equal("is not on the public internet", (await closed.GetAsync(host.Url + Path, OutsideDocuments.OfClient)).Problem);
        Assert.Equal((1, "application/json"), (host.Asked(Path), host.LastAccept));
    }

    [Fact]
    public async Task Redirect_is_not_followed()
    {
        host.Answer = context =>
        {
            context.Response.Redirect(context.Request.Path == Path ? "/elsewhere" : Path);
            return Task.CompletedTask;
        };
        using var documents = Documents();

        var outcome = await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);

        Assert.Equal((null, "answers 302", false, 0), (outcome.Text, outcome.Problem, outcome.IsTransient, host.Asked("/elsewhere")));
    }

    [Theory]
    [InlineData(5 * 1024, true)]
    [InlineData((5 * 1024) + 1, false)]
    [InlineData(50_000_000, false)]
    public async Task Document_has_at_most_5_KB(int size, bool isTaken)
    {
        var sent = 0;
        host.Answer = async context =>
        {
            for (; sent < size && !context.RequestAborted.IsCancellationRequested; sent += Math.Min(1024, size - sent))
            {
                await context.Response.WriteAsync(new string(' ', Math.Min(1024, size - sent)));
            }
        };
        using var documents = Documents();

        var outcome = await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);

        Assert.Equal((isTaken, isTaken ? null : "answers with more than 5 KB"), (outcome.Text is not null, outcome.Problem));
        Assert.True(sent <= Math.Max(size / 2, 64 * 1024), $"{sent} octets were taken");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Host_that_is_slow_is_given_up_after_five_seconds(bool beginsAtOnce)
    {
        host.Answer = async context =>
        {
            for (var index = 0; index < 30 && beginsAtOnce; index++)
            {
                await context.Response.WriteAsync(" ");
                await Task.Delay(500, context.RequestAborted);
            }

            await Task.Delay(TimeSpan.FromSeconds(15), context.RequestAborted);
        };
        using var documents = Documents();
        var watch = Stopwatch.StartNew();

        var outcome = await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);

        Assert.Equal(("did not answer within 5 seconds", true), (outcome.Problem, outcome.IsTransient));
        Assert.InRange(watch.Elapsed.TotalSeconds, 4.5, 14);
    }

    [Fact]
    public async Task Many_who_ask_at_once_are_one_request()
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Answer = async context =>
        {
            await begun.Task;
            await context.Response.WriteAsync("{}");
        };
        using var documents = Documents();

        var asking = Enumerable.Range(0, 200).Select(_ => documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient)).ToList();
        begun.SetResult();

        Assert.All(await Task.WhenAll(asking), outcome => Assert.Equal("{}", outcome.Text));
        Assert.Equal(1, host.Asked(Path));
    }

    [Theory]
    [InlineData(null, 299, 301)]
    [InlineData("no-store", 299, 301)]
    [InlineData("max-age=10", 299, 301)]
    [InlineData("max-age=3600", 3599, 3601)]
    [InlineData("max-age=31536000", 86399, 86401)]
    public async Task Document_is_kept_as_its_headers_say_within_bounds(string? control, int lastSecond, int firstSecond)
    {
        host.Answer = context =>
        {
            context.Response.Headers.CacheControl = control;
            return context.Response.WriteAsync("{}");
        };
        using var documents = Documents();
        await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);

        clock.Advance(TimeSpan.FromSeconds(lastSecond));
        await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);
        Assert.Equal(1, host.Asked(Path));
        clock.Advance(TimeSpan.FromSeconds(firstSecond - lastSecond));
        await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);
        Assert.Equal(2, host.Asked(Path));
    }

    [Theory]
    [InlineData(500, true)]
    [InlineData(503, true)]
    [InlineData(429, true)]
    [InlineData(404, false)]
    [InlineData(410, false)]
    public async Task Failure_is_remembered_for_30_seconds(int status, bool isTransient)
    {
        host.Fail(status);
        using var documents = Documents();

        var outcome = await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);
        clock.Advance(TimeSpan.FromSeconds(28));
        await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);

        Assert.Equal(($"answers {status}", isTransient, 1), (outcome.Problem, outcome.IsTransient, host.Asked(Path)));
        host.Publish((Path, "{}"));
        clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("{}", (await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient)).Text);
    }

    [Fact]
    public async Task Document_that_was_there_counts_for_seven_days()
    {
        host.Publish((Path, "{}"));
        using var documents = Documents();
        await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);
        host.Fail(410);

        foreach (var later in (TimeSpan[])[TimeSpan.FromMinutes(6), TimeSpan.FromDays(3), TimeSpan.FromDays(3.9)])
        {
            clock.Advance(later);
            Assert.Equal("{}", (await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient)).Text);
        }

        clock.Advance(TimeSpan.FromDays(0.2));
        var gone = await documents.GetAsync(host.Url + Path, OutsideDocuments.OfClient);
        Assert.Equal((null, "answers 410"), (gone.Text, gone.Problem));
        Assert.Equal(5, host.Asked(Path));
    }

    private OutsideDocuments Documents(bool allowsLoopback = true, OutsideNetwork? network = null) =>
        new(network ?? OutsideNetwork.Real, Options.Create(new OAuthSettings { AllowsLoopbackDocuments = allowsLoopback }), clock);

    /// <summary>A network whose names mean what the test says, and in which nobody answers.</summary>
    private (OutsideDocuments Documents, ConcurrentQueue<string> Connected) Faked(Func<string, int, IPAddress[]> resolve)
    {
        var (connected, times) = (new ConcurrentQueue<string>(), 0);
        var network = new OutsideNetwork(
            (name, _) => Task.FromResult(resolve(name, ++times)),
            (to, _) =>
            {
                connected.Enqueue(to.ToString());
                throw new SocketException((int)SocketError.ConnectionRefused);
            });
        return (Documents(allowsLoopback: false, network), connected);
    }
}
