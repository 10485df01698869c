using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 38: the first client is what the settings say; people read its name on the consent page.</summary>
public sealed class FirstClientTests(AppFixture<FirstClientTests> fixture) : IClassFixture<AppFixture<FirstClientTests>>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task First_client_has_the_name_of_the_settings_or_keeps_the_one_it_has()
    {
        await using var unnamed = await app.StartReplicaAsync(("GPT_CLIENT_ID", "company-gpt"), ("GPT_CLIENT_NAME", ""));
        await using var named = await app.StartReplicaAsync(("GPT_CLIENT_ID", "company-gpt"), ("GPT_CLIENT_NAME", "Career Coach"));
        var names = new List<string>();

        foreach (var replica in (TestApp[])[unnamed, named, unnamed])
        {
            await replica.Get<ClientService>().EnsureFirstAsync();
            names.Add((await app.Database.ScalarAsync<string>("SELECT name FROM gpt_clients WHERE client_id = 'company-gpt'"))!);
        }

        Assert.Equal(["company-gpt", "Career Coach", "Career Coach"], names);
    }
}
