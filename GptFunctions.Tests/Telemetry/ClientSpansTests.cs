using System.Diagnostics;
using GptFunctions.Telemetry;

namespace GptFunctions.Tests.Telemetry;

/// <summary>traces.md 5.</summary>
public sealed class ClientSpansTests
{
    [Theory]
    [InlineData("https://hooks.example.com/services/T0/B0/secret?*", "https://hooks.example.com/")]
    [InlineData("http://127.0.0.1:8080/path", "http://127.0.0.1:8080/")]
    [InlineData("no url", null)]
    public void Url_of_a_call_is_the_server_alone(string given, string? kept)
    {
        using var span = new Activity(ClientSpans.Operation);
        span.SetTag("url.full", given);
        using var processor = new ClientSpans();

        processor.OnEnd(span);

        Assert.Equal(kept, span.GetTagItem("url.full"));
    }
}
