using System.Globalization;
using System.Net;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Hosting;

/// <summary>What only the standalone host needs to know.</summary>
[Setting(HostName, Default = "the Functions host, where it starts the program",
    Meaning = "`standalone`: this process answers HTTP by itself, without the Functions host, and runs no timers and no queue")]
internal sealed class StandaloneSettings : ISettings
{
    private const string HostName = "HOST";
    private const string PortName = "PORT";
    private const string AddressName = "HTTP_ADDRESS";
    private const int DefaultPort = 7071;

    [Setting(PortName, 1, 65535, Meaning = "port of the standalone host (the Functions host has its own)")]
    public int Port { get; set; } = DefaultPort;

    [Setting(AddressName, Default = "`127.0.0.1` and `PORT`",
        Meaning = "where the standalone host listens, such as `*:8080` (every address) or `10.0.0.5:8080`; in Development only this machine's own addresses")]
    public string? Address { get; set; }

    /// <summary>Whether HTTP without the Functions host was asked for. Shells set HOST to other things.</summary>
    public static bool IsChosen(IConfiguration configuration) => configuration[HostName] == "standalone";

    /// <summary>Host and port of the URL to listen at, as far as the settings can be read.</summary>
    public static string AddressOf(IConfiguration configuration) =>
        configuration[AddressName] is { Length: > 0 } text && IsAddress(text) ? text
        : $"127.0.0.1:{(int.TryParse(configuration[PortName], CultureInfo.InvariantCulture, out var port) ? port : DefaultPort)}";

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Address is not null && !IsAddress(Address))
        {
            yield return $"{AddressName} must be an address with a port, such as *:8080, 10.0.0.5:8080 or [::1]:8080, not '{Address}'.";
        }
        else if (Address is not null && !isProduction && !IsLoopback(Address))
        {
            yield return $"{AddressName} must be an address of this machine alone in Development, such as 127.0.0.1:8080: there anybody may sign in as "
                + "anybody.";
        }
    }

    private static bool IsAddress(string text) => Parse(text) is { Port: > 0 };

    private static bool IsLoopback(string text) => !text.StartsWith('*') && IPAddress.IsLoopback(Parse(text)!.Address);

    private static IPEndPoint? Parse(string text) =>
        IPEndPoint.TryParse(text.StartsWith("*:", StringComparison.Ordinal) ? "0.0.0.0" + text[1..] : text, out var address) ? address : null;
}
