using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests.Deployment;

/// <summary>deployment.md 11: the component that answers HTTP without the Functions host changes how the http pods start, and nothing else.</summary>
public sealed class DirectHttpTests
{
    public static TheoryData<string> Environments => [KustomizeRender.Staging, KustomizeRender.Production];

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Component_starts_the_program_itself_in_the_http_pods(string environment)
    {
        var container = (await KustomizeRender.LoadDirectAsync(environment)).Container("http");

        Assert.Equal("""["dotnet","/home/site/wwwroot/GptFunctions.dll"]""", container.At("command")!.ToJsonString());
        var settings = new ConfigurationBuilder()
            .AddInMemoryCollection(container.List("env").Select(item => KeyValuePair.Create(item.Text("name")!, item.Text("value")))).Build();
        Assert.True(StandaloneSettings.IsChosen(settings));
        Assert.Equal($"*:{container.List("ports").Single().Text("containerPort")}", StandaloneSettings.AddressOf(settings));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Component_changes_nothing_else(string environment)
    {
        var (plain, direct) = (await KustomizeRender.LoadAsync(environment), await KustomizeRender.LoadDirectAsync(environment));
        var before = plain.Container("http");
        var after = direct.Container("http");
        after.AsObject().Remove("command");
        var names = (string[])["HOST", "HTTP_ADDRESS"];
        foreach (var item in after.List("env").Where(item => names.Contains(item.Text("name"))).ToList())
        {
            after.At("env")!.AsArray().Remove(item);
        }

        before.AsObject().Remove("resources");
        after.AsObject().Remove("resources");
        Assert.Equal(plain.Objects.Select(item => item.ToJsonString()), direct.Objects.Select(item => item.ToJsonString()));
        Assert.IsType<JsonObject>(after);
    }
}
