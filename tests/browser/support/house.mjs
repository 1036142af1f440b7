// The real bot among the emulators, with a link in the operator's direct messages.
import { Stage } from '../../end_to_end/support/stage.mjs';

export class House {
  static async open(options) {
    const house = new House();
    house.stage = await Stage.open(options);
    await house.stage.startBot();
    return house;
  }
  close() {
    return this.stage.close();
  }

  // A link that is open, and what the server says about it.
  async realLook() {
    await this.stage.start();
    await this.stage.confirm();
    const link = await this.stage.link();
    return { link, look: await this.stage.look(link) };
  }
}
