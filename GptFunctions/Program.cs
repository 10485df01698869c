using GptFunctions;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Gateway;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Sessions;
using Microsoft.Extensions.Hosting;

// GptFunctions setup | clients | --help: see Commands.cs. Anything else runs the functions.
return Commands.Recognises(args) ? await Commands.RunAsync(args) : await Startup.RunAsync(args);

namespace GptFunctions
{
    /// <summary>The table of contents: everything this program is made of, one line each.</summary>
    internal static class Features
    {
        public static void Add(IHostApplicationBuilder builder)
        {
            builder.AddHosting();  // settings from files, correlation, errors, security headers
            builder.AddData();     // PostgreSQL and its migrations
            builder.AddOAuth();    // the authorization server
            builder.AddIdentity(); // who is the person: Clerk, or a page in Development
            builder.AddSessions(); // connected apps
            builder.AddAudit();    // events on their way to the audit trail
            builder.AddGateway();  // rate limits
            builder.AddHealth();   // live, ready
        }
    }
}
